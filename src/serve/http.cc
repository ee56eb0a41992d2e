#include "serve/http.h"

#include <fmt/format.h>

#include "serve/api_keys.h"
#include "serve/page.h"

namespace pi0 {
namespace {

HttpAnswer unauthorized() {
  return {401, "text/plain; charset=utf-8",
          "this server takes requests with a key alone: Authorization: Api-Key …\n", true};
}

}  // namespace

bool is_loopback(std::string_view host) {
  // "127.0.0.1.example" is a name, of anybody's.
  const bool ip4 = host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
  return ip4 || host == "localhost" || host == "::1";
}

bool may_be_rebound(const Hub& hub, const HttpRequest& request) {
  std::string_view name = request.host.substr(0, request.host.rfind(':'));
  if (request.host.starts_with('[')) name = request.host.substr(1, request.host.find(']') - 1);
  return hub.options.api_keys.empty() && is_loopback(hub.options.host) && !is_loopback(name);
}

HttpAnswer answer_http(Hub& hub, const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    return {405, "text/plain; charset=utf-8", "expected GET\n"};
  }
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (path == "/healthz" || path == "/health") return {.body = "OK\n"};
  if (path == "/readyz") {
    if (hub.dispatcher.ready() && !hub.stopping) return {.body = "ready\n"};
    return {503, "text/plain; charset=utf-8", hub.stopping ? "stopping\n" : "loading\n"};
  }
  if (!is_authorized(hub.options.api_keys, request.authorization)) return unauthorized();
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", hub.metrics.text(hub.now())};
  }
  return answer_page(hub, request);
}

std::optional<HttpAnswer> refuse_websocket(const Hub& hub, const HttpRequest& request,
                                           std::string_view origin) {
  if (!is_authorized(hub.options.api_keys, request.authorization)) return unauthorized();
  // A page of another place in this machine's browser is none of its clients.
  const std::size_t scheme = origin.find("://");
  if (!origin.empty() &&
      (scheme == std::string_view::npos || origin.substr(scheme + 3) != request.host ||
       may_be_rebound(hub, request))) {
    return HttpAnswer{403, "text/plain; charset=utf-8",
                      "a page of another origin may not use this server\n"};
  }
  if (hub.stopping) return HttpAnswer{.status = 503, .body = "stopping\n"};
  if (hub.is_full()) {
    return HttpAnswer{.status = 503, .body = "as many clients as it takes are connected\n"};
  }
  return std::nullopt;
}

}  // namespace pi0
