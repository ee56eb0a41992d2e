#include "net/stream.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <cassert>
#include <variant>

namespace pi0 {

namespace net = boost::asio;
namespace beast = boost::beast;

struct NetStream::Impl {
  using Plain = beast::tcp_stream;
  using Encrypted = beast::ssl_stream<beast::tcp_stream>;

  explicit Impl(Plain plain) : stream(std::move(plain)) {}
  explicit Impl(Encrypted encrypted) : stream(std::move(encrypted)) {}
  Encrypted& encrypted() {
    assert(std::holds_alternative<Encrypted>(stream));
    return *std::get_if<Encrypted>(&stream);
  }

  std::variant<Plain, Encrypted> stream;
};

NetStream::NetStream(beast::tcp_stream tcp) : impl_(std::make_unique<Impl>(std::move(tcp))) {}
NetStream::NetStream(beast::tcp_stream tcp, net::ssl::context& tls)
    : impl_(std::make_unique<Impl>(Impl::Encrypted(std::move(tcp), tls))) {}
NetStream::NetStream(NetStream&&) noexcept = default;
NetStream::~NetStream() = default;

bool NetStream::is_encrypted() const {
  return std::holds_alternative<Impl::Encrypted>(impl_->stream);
}

NetStream::executor_type NetStream::get_executor() { return next_layer().get_executor(); }

beast::tcp_stream& NetStream::next_layer() {
  return std::visit(
      [](auto& stream) -> auto& { return beast::get_lowest_layer(stream); }, impl_->stream);
}

void NetStream::verify_host(const std::string& host) {
  Impl::Encrypted& tls = impl_->encrypted();
  tls.set_verify_mode(net::ssl::verify_peer);
  tls.set_verify_callback(net::ssl::host_name_verification(host));
  error_code no_address;  // one is not told: RFC 6066
  net::ip::make_address(host, no_address);
  if (no_address) SSL_set_tlsext_host_name(tls.native_handle(), host.c_str());
}

void NetStream::async_tls_handshake(net::ssl::stream_base::handshake_type side, Done done) {
  impl_->encrypted().async_handshake(side, std::move(done));
}

void NetStream::read_some(const ReadBuffers& buffers, Transferred done) {
  std::visit([&](auto& stream) { stream.async_read_some(buffers, std::move(done)); },
             impl_->stream);
}

void NetStream::write_some(const WriteBuffers& buffers, Transferred done) {
  std::visit([&](auto& stream) { stream.async_write_some(buffers, std::move(done)); },
             impl_->stream);
}

void NetStream::end(beast::role_type role, Done done) {
  using beast::websocket::async_teardown;
  std::visit([&](auto& stream) { async_teardown(role, stream, std::move(done)); }, impl_->stream);
}

}  // namespace pi0
