// A TCP connection, encrypted or not, as one type. What Beast does over a stream is instantiated
// for each type of stream, and of each handler and buffer beneath it: a minute of compiling for
// every file that has both kinds, which with this one is done once, in stream.cc.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/asio/ssl/verify_context.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace pi0 {

// The first buffers of a sequence: who is asked to read or write some may do less than all.
template <typename Buffer>
class SomeBuffers {
 public:
  using value_type = Buffer;
  using const_iterator = const Buffer*;

  SomeBuffers() = default;
  template <typename Sequence>
  static SomeBuffers of(const Sequence& sequence) {
    SomeBuffers some;
    const auto end = boost::asio::buffer_sequence_end(sequence);
    for (auto it = boost::asio::buffer_sequence_begin(sequence);
         it != end && some.count_ < some.buffers_.size(); ++it) {
      const Buffer buffer(*it);
      if (buffer.size() > 0) some.buffers_[some.count_++] = buffer;
    }
    return some;
  }
  const_iterator begin() const { return buffers_.data(); }
  const_iterator end() const { return buffers_.data() + count_; }

 private:
  std::array<Buffer, 16> buffers_;
  std::size_t count_ = 0;
};

// AsyncReadStream and AsyncWriteStream of Asio, with handlers that are functions; what a websocket
// and HTTP are read from and written to. Handlers' own executors are not looked at: what runs a
// stream's io_context runs them, on one thread.
class NetStream {
 public:
  using error_code = boost::system::error_code;
  using executor_type = boost::asio::any_io_executor;
  using Done = std::function<void(error_code)>;
  using Transferred = std::function<void(error_code, std::size_t)>;
  using ReadBuffers = SomeBuffers<boost::asio::mutable_buffer>;
  using WriteBuffers = SomeBuffers<boost::asio::const_buffer>;

  explicit NetStream(boost::beast::tcp_stream tcp);
  // Encrypted by `tls`, which outlives it.
  NetStream(boost::beast::tcp_stream tcp, boost::asio::ssl::context& tls);
  NetStream(NetStream&&) noexcept;
  ~NetStream();

  bool is_encrypted() const;
  executor_type get_executor();
  // Where timeouts and the socket are; what get_lowest_layer() gives.
  boost::beast::tcp_stream& next_layer();

  // Of an encrypted one, before the first byte. A client holds the server's certificate against
  // `host`, a name or an address.
  void verify_host(const std::string& host);
  void async_tls_handshake(boost::asio::ssl::stream_base::handshake_type side, Done done);

  template <typename Sequence, typename Handler>
  void async_read_some(const Sequence& buffers, Handler&& handler) {
    read_some(ReadBuffers::of(buffers), erased<Transferred>(std::forward<Handler>(handler)));
  }
  template <typename Sequence, typename Handler>
  void async_write_some(const Sequence& buffers, Handler&& handler) {
    write_some(WriteBuffers::of(buffers), erased<Transferred>(std::forward<Handler>(handler)));
  }

  // How a websocket ends it: Beast looks for this by name.
  template <typename Handler>
  friend void async_teardown(boost::beast::role_type role, NetStream& stream, Handler&& handler) {
    stream.end(role, erased<Done>(std::forward<Handler>(handler)));
  }

 private:
  // Handlers are moved and never copied, functions are copied: each gets what they share, and the
  // one that is called takes it.
  template <typename Function, typename Handler>
  static Function erased(Handler&& handler) {
    auto kept = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
    return [kept](auto... result) {
      auto taken = std::move(*kept);
      taken(result...);
    };
  }
  void read_some(const ReadBuffers& buffers, Transferred done);
  void write_some(const WriteBuffers& buffers, Transferred done);
  void end(boost::beast::role_type role, Done done);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pi0
