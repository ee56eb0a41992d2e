#include "client/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port < 65536;
}

}  // namespace

std::string Url::authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + port;
}

Url parse_url(const std::string& text) {
  const auto refuse = [&text](const char* what) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("url \"{}\": {}, expected ws://HOST:PORT or wss://HOST:PORT",
                            printable(text), what));
  };
  // None of them may get into a header.
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](unsigned char c) { return c > ' ' && c < 0x7f && c != '@'; });
  if (!plain) refuse("a character that none has");
  std::string_view rest = text;
  Url url;
  url.encrypted = rest.starts_with("wss://");
  if (!url.encrypted && !rest.starts_with("ws://")) refuse("another scheme");
  rest.remove_prefix(url.encrypted ? 6 : 5);
  const std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view path = rest.substr(slash, rest.find('#') - slash);
  if (!path.empty()) url.path = path.front() == '/' ? std::string(path) : "/" + std::string(path);
  rest = rest.substr(0, slash);

  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) refuse("a bracket without its other");
  const std::size_t colon = rest.find(':', bracket);
  const std::string_view host = rest.substr(0, colon);
  url.host = bracket != 0 ? host.substr(1, host.size() - 2) : host;
  if (url.host.empty()) refuse("no host");
  url.port = url.encrypted ? "443" : "80";
  if (colon != std::string_view::npos) url.port = rest.substr(colon + 1);
  if (!is_port(url.port)) refuse("no port from 1 to 65535");
  return url;
}

}  // namespace pi0
