// One TCP connection of a server: HTTP at first, then perhaps a websocket.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "serve/hub.h"

namespace pi0 {

// Takes the connection, which lives until it ends. `tls`: what it is encrypted by; nullptr: not.
// `count` counts those that live.
void serve_connection(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls, Hub& hub,
                      std::shared_ptr<int> count);

}  // namespace pi0
