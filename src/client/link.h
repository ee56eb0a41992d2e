// One connection to a policy server: a websocket, encrypted or not.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/url.h"

namespace pi0 {

struct LinkFailure {
  std::string sentence = {};
  bool passing = true;  // it may go well another time
};

// All on the one thread that runs the io_context.
class Link {
 public:
  struct Events {
    std::function<void(std::vector<std::byte> message, bool binary)> received = {};
    std::function<void(LinkFailure)> lost = {};  // also where it could not be made; nothing follows
  };
  virtual ~Link() = default;

  // A binary message in two parts, once the first has been received.
  virtual void send(std::shared_ptr<const std::vector<std::byte>> begin,
                    std::vector<std::byte> end) = 0;
  // This server may be too busy to answer pings: do not leave it for that.
  virtual void expect_no_pongs() = 0;
  // At once; no event follows, and none is under way on return.
  virtual void leave() = 0;
};

// `tls` of an encrypted one, and outlives it.
std::shared_ptr<Link> open_link(boost::asio::io_context& io, const Url& url,
                                boost::asio::ssl::context& tls, const std::string& api_key,
                                Link::Events events);

}  // namespace pi0
