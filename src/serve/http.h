// What a server answers to HTTP requests that ask for no websocket.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serve/hub.h"

namespace pi0 {

struct HttpRequest {
  std::string_view method = {};
  std::string_view target = {};
  std::string_view host = {};           // the header
  std::string_view authorization = {};  // the header
};

struct HttpAnswer {
  unsigned status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body = {};
  bool ask_for_key = false;
};

HttpAnswer answer_http(Hub& hub, const HttpRequest& request);

// Whether the address is this machine's alone: "127.0.0.1", "::1", "localhost".
bool is_loopback(std::string_view host);

// Whether the request may be that of a foreign page in this machine's browser, which gave its own
// name this machine's address: without keys, a server of this machine alone goes by such names as
// "localhost".
bool may_be_rebound(const Hub& hub, const HttpRequest& request);

// Why a websocket is refused, if it is. `origin`: the header, which browsers send.
std::optional<HttpAnswer> refuse_websocket(const Hub& hub, const HttpRequest& request,
                                           std::string_view origin);

}  // namespace pi0
