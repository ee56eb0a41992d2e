#include "serve/http.h"

#include <fmt/format.h>

#include "serve/api_keys.h"

namespace pi0 {
namespace {

HttpAnswer unauthorized() {
  return {401, "text/plain; charset=utf-8",
          "this server takes requests with a key alone: Authorization: Api-Key …\n", true};
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
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
  return {404, "text/plain; charset=utf-8", "there is no such page\n"};
}

HttpAnswer refuse_websocket(const Hub& hub, const HttpRequest& request, std::string_view origin,
                            bool* refused) {
  *refused = true;
  if (!is_authorized(hub.options.api_keys, request.authorization)) return unauthorized();
  // A page of another place in this machine's browser is none of its clients.
  const std::size_t scheme = origin.find("://");
  if (!origin.empty() &&
      (scheme == std::string_view::npos || origin.substr(scheme + 3) != request.host)) {
    return {403, "text/plain; charset=utf-8", "a page of another origin may not use this server\n"};
  }
  *refused = false;
  return {};
}

}  // namespace pi0
