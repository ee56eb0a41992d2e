#include "client/link.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <utility>

#include "base/text.h"
#include "net/stream.h"
#include "pi0/version.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using net::ip::tcp;

constexpr std::size_t kMostOfAMessage = std::size_t{64} << 20;  // bytes of an answer
constexpr std::size_t kAtOnce = std::size_t{128} << 10;         // bytes that are masked and written
constexpr int kWidth = 300;                                     // of what a server says
// Of a server that answers pings; it answers none while a large message is on its way.
constexpr std::chrono::seconds kSilence(30);

std::string said(std::string_view text) {
  return shorten_end(printable(text.substr(0, std::size_t{4} * kWidth)), kWidth);
}

// Keeps itself alive through the operations that are under way.
class WebsocketLink : public Link, public std::enable_shared_from_this<WebsocketLink> {
 public:
  WebsocketLink(NetStream stream, const Url& url, const std::string& api_key, Events events)
      : socket_(std::move(stream)),
        resolver_(socket_.get_executor()),
        url_(url),
        events_(std::move(events)) {
    socket_.set_option(websocket::stream_base::decorator([api_key](auto& request) {
      request.set(http::field::user_agent, std::string("pi0/") + version());
      if (!api_key.empty()) request.set(http::field::authorization, "Api-Key " + api_key);
    }));
    socket_.set_option(
        websocket::stream_base::timeout{websocket::stream_base::none(), kSilence, true});
    socket_.read_message_max(kMostOfAMessage);
    socket_.auto_fragment(false);
    socket_.write_buffer_bytes(kAtOnce);
    socket_.binary(true);
  }

  void open() {
    resolver_.async_resolve(url_.host, url_.port, [self = self()](error_code error, auto found) {
      if (self->failed(error, "cannot find the host")) return;
      self->lowest().async_connect(found, [self](error_code error, const tcp::endpoint&) {
        if (self->failed(error, "cannot connect")) return;
        self->encrypt();
      });
    });
  }

  // Link
  void send(std::shared_ptr<const std::vector<std::byte>> begin,
            std::vector<std::byte> end) override {
    outgoing_.push_back({std::move(begin), std::move(end)});
    if (outgoing_.size() == 1) write();
  }
  void expect_no_pongs() override {
    const auto none = websocket::stream_base::none();
    socket_.set_option(websocket::stream_base::timeout{none, none, false});
  }
  void leave() override {
    events_ = {};
    left_ = true;
    resolver_.cancel();
    lowest().close();
  }

 private:
  std::shared_ptr<WebsocketLink> self() { return shared_from_this(); }
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(socket_); }

  void lose(LinkFailure failure) {
    const Events events = std::move(events_);
    leave();
    if (events.lost) events.lost(std::move(failure));
  }

  // Whether this is the end of it.
  bool failed(error_code error, const char* what) {
    if (error && !left_) lose({fmt::format("{}: {}", what, error.message())});
    return error || left_;
  }

  void encrypt() {
    error_code ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
    NetStream& stream = socket_.next_layer();
    if (!stream.is_encrypted()) return upgrade();
    stream.verify_host(url_.host);
    stream.async_tls_handshake(net::ssl::stream_base::client, [self = self()](error_code error) {
      if (!self->left_ && error.category() == net::error::get_ssl_category()) {
        return self->lose({"no encryption: " + error.message(), false});
      }
      if (!self->failed(error, "no encryption")) self->upgrade();
    });
  }

  void upgrade() {
    socket_.async_handshake(response_, url_.authority(), url_.path,
                            [self = self()](error_code error) {
                              if (error == websocket::error::upgrade_declined && !self->left_) {
                                return self->declined();
                              }
                              if (!self->failed(error, "no websocket")) self->read();
                            });
  }

  void declined() {
    const auto reason = response_.reason();
    std::string sentence = fmt::format("it answers {} {}", response_.result_int(),
                                       said({reason.data(), reason.size()}));
    if (!response_.body().empty()) sentence += ": " + said(response_.body());
    // 5xx: of a proxy whose servers are away, say.
    lose({std::move(sentence), response_.result_int() >= 500});
  }

  void read() {
    socket_.async_read(buffer_, [self = self()](error_code error, std::size_t) {
      if (error == websocket::error::closed && !self->left_) return self->closed();
      if (self->failed(error, "the connection broke")) return;
      const auto data = self->buffer_.cdata();
      const auto* const begin = static_cast<const std::byte*>(data.data());
      std::vector<std::byte> message(begin, begin + data.size());
      self->buffer_.consume(data.size());
      const auto received = self->events_.received;  // leave() would end it amid its call
      received(std::move(message), self->socket_.got_binary());
      if (!self->left_) self->read();
    });
  }

  void closed() {
    const websocket::close_reason& reason = socket_.reason();
    std::string sentence = fmt::format("the server closed ({})", reason.code);
    if (!reason.reason.empty()) {
      sentence += ": " + said({reason.reason.data(), reason.reason.size()});
    }
    // Of the rest, what was sent is the cause: a message that is too big, say.
    const bool passing = reason.code == websocket::close_code::normal ||
                         reason.code == websocket::close_code::going_away ||
                         reason.code == websocket::close_code::none ||
                         reason.code == websocket::close_code::service_restart ||
                         reason.code == websocket::close_code::try_again_later;
    lose({std::move(sentence), passing});
  }

  void write() {
    const auto& [begin, end] = outgoing_.front();
    const std::array<net::const_buffer, 2> parts = {net::buffer(*begin), net::buffer(end)};
    socket_.async_write(parts, [self = self()](error_code error, std::size_t) {
      // Reading finds it too, and why.
      if (error || self->left_) return;
      self->outgoing_.pop_front();
      if (!self->outgoing_.empty()) self->write();
    });
  }

  websocket::stream<NetStream> socket_;
  tcp::resolver resolver_;
  const Url url_;
  Events events_;
  bool left_ = false;
  websocket::response_type response_;
  beast::flat_buffer buffer_;
  std::deque<std::pair<std::shared_ptr<const std::vector<std::byte>>, std::vector<std::byte>>>
      outgoing_;
};

}  // namespace

std::shared_ptr<Link> open_link(net::io_context& io, const Url& url, net::ssl::context& tls,
                                const std::string& api_key, Link::Events events) {
  beast::tcp_stream tcp(io);
  NetStream stream = url.encrypted ? NetStream(std::move(tcp), tls) : NetStream(std::move(tcp));
  auto link = std::make_shared<WebsocketLink>(std::move(stream), url, api_key, std::move(events));
  link->open();
  return link;
}

}  // namespace pi0
