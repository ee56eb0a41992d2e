#include "serve/page.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "pi0/version.h"

namespace pi0 {
namespace {

HttpAnswer refuse(unsigned status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", std::move(sentence += '\n')};
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Of "a=1&b=2"; 0 where it is absent or no number.
std::uint64_t find_number(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    if (one.starts_with(name) && one.substr(name.size()).starts_with('=')) {
      return to_number(one.substr(name.size() + 1)).value_or(0);
    }
  }
  return 0;
}

HttpAnswer state(const Hub& hub, std::string_view query) {
  Json json = hub.board.state(find_number(query, "since"), find_number(query, "client"));
  const Metrics::Now now = hub.now();
  const ServedModel& model = *hub.dispatcher.model();
  json["server"] = {{"version", version()},
                    {"kind", model.checkpoint.info().kind},
                    {"robot", model.robot.name},
                    {"devices", hub.dispatcher.devices()},
                    {"state", hub.stopping ? "stopping"
                              : now.ready  ? "ready"
                                           : "loading"},
                    {"clients", now.clients},
                    {"waiting", now.waiting},
                    {"computing", now.computing}};
  return {200, "application/json", json.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

HttpAnswer image(const Hub& hub, std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash != path.npos) {
    const auto client = to_number(path.substr(0, slash));
    const auto camera = to_number(path.substr(slash + 1));
    if (client && camera) {
      if (std::optional<std::string> picture = hub.board.picture(*client, *camera)) {
        return {200, "image/bmp", *std::move(picture)};
      }
    }
  }
  return refuse(404, "there is no such image, or no longer");
}

}  // namespace

HttpAnswer answer_page(const Hub& hub, const HttpRequest& request) {
  const std::size_t question = std::min(request.target.find('?'), request.target.size());
  const std::string_view path = request.target.substr(0, question);
  constexpr std::string_view kImages = "/image/";
  const bool known = path == "/" || path == "/page.css" || path == "/page.js" ||
                     path == "/state.json" || path == "/favicon.ico" || path.starts_with(kImages);
  if (!known) return refuse(404, "there is no such page");
  if (!is_loopback(hub.options.host) && hub.options.api_keys.empty()) {
    return refuse(404,
                  "this server shows its page to other machines only with a key: "
                  "--api-key-file, or --host 127.0.0.1");
  }
  if (may_be_rebound(hub, request)) {
    return refuse(403, "this server's page goes by the names localhost and 127.0.0.1 alone");
  }
  if (path == "/") return {200, "text/html; charset=utf-8", std::string(kPageHtml)};
  if (path == "/page.css") return {200, "text/css; charset=utf-8", std::string(kPageCss)};
  if (path == "/page.js") return {200, "text/javascript; charset=utf-8", std::string(kPageJs)};
  if (path == "/favicon.ico") return {204};
  if (path == "/state.json") {
    return state(hub, request.target.substr(std::min(question + 1, request.target.size())));
  }
  return image(hub, path.substr(kImages.size()));
}

}  // namespace pi0
