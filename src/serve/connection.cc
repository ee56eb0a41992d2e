#include "serve/connection.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "base/text.h"
#include "net/stream.h"
#include "serve/conversation.h"
#include "serve/http.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

using Incoming = net::dynamic_vector_buffer<std::byte, std::allocator<std::byte>>;

constexpr std::size_t kMostOfAHeader = 16 << 10;  // bytes
constexpr std::size_t kMostUnread = 32;           // answers
constexpr std::size_t kAtOnce = 256 << 10;        // bytes of a message that are read
// Until a client is heard again that said what was refused. Who says such things as fast as it can
// takes no time from others.
constexpr std::chrono::milliseconds kAfterRefusal{10};
constexpr std::chrono::seconds kToClose{2};  // a client's, to answer a close

std::chrono::milliseconds seconds(double s) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(s * 1000));
}

// Keeps itself alive through the operations that are under way.
class Connection : public std::enable_shared_from_this<Connection>, public Channel {
 public:
  Connection(NetStream stream, Hub& hub, std::shared_ptr<int> count)
      : socket_(std::move(stream)),
        hub_(hub),
        count_(std::move(count)),
        message_late_(socket_.get_executor()),
        refusal_(socket_.get_executor()),
        close_late_(socket_.get_executor()) {
    ++*count_;
    error_code ignored;
    const auto peer = lowest().socket().remote_endpoint(ignored);
    if (!ignored) peer_ = peer.address().to_string() + ":" + std::to_string(peer.port());
    lowest().socket().set_option(net::ip::tcp::no_delay(true), ignored);
  }
  ~Connection() override {
    if (conversation_) conversation_->leave();
    --*count_;
  }

  void run() {
    lowest().expires_after(seconds(hub_.options.limits.handshake_s));
    if (!socket_.next_layer().is_encrypted()) return read_request();
    socket_.next_layer().async_tls_handshake(net::ssl::stream_base::server,
                                             [self = self()](error_code error) {
                                               if (!error) self->read_request();
                                             });
  }

  // Channel
  void send(std::vector<std::byte> frame, bool binary, std::function<void()> sent) override {
    if (outgoing_.size() >= kMostUnread) return lowest().close();  // it asks, and never reads
    outgoing_.push_back({std::move(frame), binary, std::move(sent)});
    if (outgoing_.size() == 1) write();
  }
  void close(std::uint16_t code, std::string_view reason) override {
    closing_ = websocket::close_reason(static_cast<websocket::close_code>(code),
                                       beast::string_view(reason.data(), reason.size()));
    if (outgoing_.empty()) send_close();
  }

 private:
  struct Frame {
    std::vector<std::byte> bytes;
    bool binary;
    std::function<void()> sent;
  };

  std::shared_ptr<Connection> self() { return shared_from_this(); }
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(socket_); }

  // HTTP, on the stream beneath the websocket.

  void read_request() {
    request_.emplace();
    request_->header_limit(kMostOfAHeader);
    request_->body_limit(0);
    lowest().expires_after(seconds(hub_.options.limits.handshake_s));
    http::async_read(socket_.next_layer(), buffer_, *request_,
                     [self = self()](error_code error, std::size_t) {
                       if (!error) self->answer_request();
                     });
  }

  void answer_request() {
    const http::request<http::empty_body>& request = request_->get();
    const auto header = [&request](http::field field) {
      const auto value = request[field];
      return std::string_view(value.data(), value.size());
    };
    const auto method = request.method_string();
    const auto target = request.target();
    const HttpRequest asked = {{method.data(), method.size()},
                               {target.data(), target.size()},
                               header(http::field::host),
                               header(http::field::authorization)};
    if (websocket::is_upgrade(request)) {
      std::optional<HttpAnswer> refused =
          refuse_websocket(hub_, asked, header(http::field::origin));
      if (refused) {
        ++hub_.metrics.refused_connections;
        return write_answer(*std::move(refused), false);
      }
      dialect_ = dialect_of(asked.target);
      return accept();
    }
    write_answer(answer_http(hub_, asked), request.keep_alive());
  }

  void write_answer(HttpAnswer answer, bool keep_alive) {
    response_.emplace(static_cast<http::status>(answer.status), request_->get().version());
    response_->set(http::field::server, "pi0");
    response_->set(http::field::content_type, answer.type);
    response_->set(http::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    response_->set("Cross-Origin-Resource-Policy", "same-origin");
    response_->set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'");
    if (answer.ask_for_key) {
      response_->set(http::field::www_authenticate, "Basic realm=\"pi0\", charset=\"UTF-8\"");
    }
    response_->keep_alive(keep_alive);
    if (request_->get().method() == http::verb::head) {
      response_->content_length(answer.body.size());
    } else {
      response_->body() = std::move(answer.body);
      response_->prepare_payload();
    }
    lowest().expires_after(seconds(hub_.options.limits.handshake_s));
    http::async_write(socket_.next_layer(), *response_,
                      [self = self(), keep_alive](error_code error, std::size_t) {
                        if (!error && keep_alive) self->read_request();
                      });
  }

  // The websocket.

  void accept() {
    lowest().expires_never();
    const ServerLimits& limits = hub_.options.limits;
    socket_.set_option(websocket::stream_base::timeout{seconds(limits.handshake_s),
                                                       seconds(2 * limits.idle_s), true});
    socket_.set_option(websocket::stream_base::decorator(
        [](websocket::response_type& response) { response.set(http::field::server, "pi0"); }));
    socket_.read_message_max(limits.message_bytes);
    socket_.async_accept(request_->get(), [self = self()](error_code error) {
      if (!error) self->begin();
    });
  }

  void begin() {
    request_.reset();
    buffer_ = beast::flat_buffer();
    conversation_ = std::make_shared<Conversation>(hub_, *this, peer_, dialect_);
    conversation_->begin();
    if (hub_.stopping) conversation_->stop();  // while it shook hands
    read();
  }

  // A piece at a time, so that a message which never ends is noticed.
  void read() {
    socket_.async_read_some(*incoming_, kAtOnce, [self = self()](error_code error, std::size_t) {
      self->have_read(error);
    });
  }

  void have_read(error_code error) {
    if (error) {
      message_late_.cancel();
      conversation_->leave();
      return;
    }
    if (socket_.is_message_done()) {
      message_late_.cancel();
      has_begun_ = false;
      std::vector<std::byte> message = std::exchange(message_, {});
      incoming_.emplace(message_);
      if (!conversation_->receive(std::move(message), socket_.got_binary())) return read_later();
    } else if (!has_begun_) {
      has_begun_ = true;
      leave_after(message_late_, seconds(hub_.options.limits.message_s));
    }
    read();
  }

  void leave_after(net::steady_timer& timer, std::chrono::milliseconds time) {
    timer.expires_after(time);
    timer.async_wait([weak = weak_from_this()](error_code late) {
      if (late) return;
      if (const std::shared_ptr<Connection> self = weak.lock()) self->lowest().close();
    });
  }

  void read_later() {
    refusal_.expires_after(kAfterRefusal);
    refusal_.async_wait([self = self()](error_code) { self->read(); });
  }

  void write() {
    const Frame& frame = outgoing_.front();
    socket_.binary(frame.binary);
    socket_.async_write(net::buffer(frame.bytes), [self = self()](error_code error, std::size_t) {
      self->have_written(error);
    });
  }

  void have_written(error_code error) {
    Frame frame = std::move(outgoing_.front());
    outgoing_.pop_front();
    if (error) return outgoing_.clear();  // reading finds it too, and leaves
    if (!outgoing_.empty()) {
      write();
    } else if (closing_) {
      send_close();
    }
    if (frame.sent) frame.sent();  // which may send more
  }

  void send_close() {
    socket_.async_close(*closing_, [self = self()](error_code) { self->close_late_.cancel(); });
    leave_after(close_late_, kToClose);
  }

  websocket::stream<NetStream> socket_;
  Hub& hub_;
  std::shared_ptr<int> count_;
  net::steady_timer message_late_, refusal_, close_late_;
  bool has_begun_ = false;  // a message, of which more will come
  std::string peer_;
  beast::flat_buffer buffer_;       // of HTTP
  std::vector<std::byte> message_;  // as far as it has come
  std::optional<Incoming> incoming_{std::in_place, message_};
  std::optional<http::request_parser<http::empty_body>> request_;
  std::optional<http::response<http::string_body>> response_;
  Dialect dialect_ = Dialect::kOpenpi;
  std::shared_ptr<Conversation> conversation_;
  std::deque<Frame> outgoing_;
  std::optional<websocket::close_reason> closing_;
};

}  // namespace

void serve_connection(net::ip::tcp::socket socket, net::ssl::context* tls, Hub& hub,
                      std::shared_ptr<int> count) {
  beast::tcp_stream tcp(std::move(socket));
  NetStream stream = tls != nullptr ? NetStream(std::move(tcp), *tls) : NetStream(std::move(tcp));
  std::make_shared<Connection>(std::move(stream), hub, std::move(count))->run();
}

}  // namespace pi0
