#include "net/stream.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/test_support.h"
#include "net/certificate_testing.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
using boost::beast::role_type;
using boost::system::error_code;
using net::ip::tcp;

// Both ends of a connection, encrypted or not.
class NetStreamTest : public testing::TestWithParam<bool> {
 protected:
  NetStreamTest() {
    tcp::acceptor acceptor(io_, {net::ip::make_address("127.0.0.1"), 0});
    boost::beast::tcp_stream asking(io_), asked(io_);
    asking.socket().connect(acceptor.local_endpoint());
    acceptor.accept(asked.socket());
    if (!GetParam()) {
      client_.emplace(std::move(asking));
      server_.emplace(std::move(asked));
      return;
    }
    write_certificate(directory_ / "cert.pem", directory_ / "key.pem");
    of_server_.use_certificate_chain_file((directory_ / "cert.pem").string());
    of_server_.use_private_key_file((directory_ / "key.pem").string(), net::ssl::context::pem);
    of_client_.load_verify_file((directory_ / "cert.pem").string());
    client_.emplace(std::move(asking), of_client_);
    server_.emplace(std::move(asked), of_server_);
  }

  // What the client's end of the handshake comes to.
  error_code shake_hands(const std::string& host) {
    if (!GetParam()) return {};
    error_code result;
    client_->verify_host(host);
    client_->async_tls_handshake(net::ssl::stream_base::client,
                                 [&](error_code error) { result = error; });
    server_->async_tls_handshake(net::ssl::stream_base::server, [](error_code) {});
    run();
    return result;
  }
  void run() {
    io_.restart();
    io_.run_for(std::chrono::seconds(20));
  }

  TemporaryDirectory directory_;
  net::io_context io_;
  net::ssl::context of_client_{net::ssl::context::tls_client};
  net::ssl::context of_server_{net::ssl::context::tls_server};
  std::optional<NetStream> client_, server_;
};

// More buffers than are taken at once, empty ones among them, and handlers that cannot be copied.
TEST_P(NetStreamTest, PassesOnEveryByte) {
  EXPECT_EQ(client_->is_encrypted(), GetParam());
  ASSERT_FALSE(shake_hands("localhost"));
  std::mt19937 random(1);
  std::vector<unsigned char> sent(300'007), received(sent.size());
  for (unsigned char& byte : sent) byte = static_cast<unsigned char>(random());
  std::vector<net::const_buffer> from;
  std::vector<net::mutable_buffer> to;
  for (std::size_t at = 0, step = 0; at < sent.size(); at += step) {
    step = std::min<std::size_t>(sent.size() - at, random() % 9973);
    from.push_back(net::buffer(sent.data() + at, step));
  }
  for (std::size_t at = 0, step = 0; at < received.size(); at += step) {
    step = std::min<std::size_t>(received.size() - at, random() % 7919);
    to.push_back(net::buffer(received.data() + at, step));
  }
  ASSERT_GT(from.size(), 40u);
  std::size_t written = 0, read = 0;
  const auto into = [](std::size_t& result) {
    return [&result, unique = std::make_unique<int>()](error_code error, std::size_t bytes) {
      EXPECT_FALSE(error) << error.message();
      result = bytes;
    };
  };
  net::async_write(*client_, from, into(written));
  net::async_read(*server_, to, into(read));
  run();
  EXPECT_EQ(written, sent.size());
  EXPECT_EQ(read, sent.size());
  EXPECT_EQ(received, sent);
}

// The server ends it, as RFC 6455 wants it.
TEST_P(NetStreamTest, TheOtherEndSeesItEnd) {
  ASSERT_FALSE(shake_hands("localhost"));
  bool ended = false;
  error_code seen;
  char byte = 0;
  client_->async_read_some(net::buffer(&byte, 1), [&](error_code error, std::size_t) {
    seen = error;
    client_->next_layer().close();
  });
  async_teardown(role_type::server, *server_,
                 [&, unique = std::make_unique<int>()](error_code) { ended = true; });
  run();
  EXPECT_TRUE(ended);
  EXPECT_EQ(seen, net::error::eof);
}

TEST_P(NetStreamTest, TimesOut) {
  ASSERT_FALSE(shake_hands("localhost"));
  client_->next_layer().expires_after(std::chrono::milliseconds(20));
  error_code seen;
  char byte = 0;
  client_->async_read_some(net::buffer(&byte, 1),
                           [&](error_code error, std::size_t) { seen = error; });
  run();
  EXPECT_EQ(seen, boost::beast::error::timeout);
}

class EncryptedStreamTest : public NetStreamTest {};

TEST_P(EncryptedStreamTest, HoldsTheCertificateAgainstTheHost) {
  EXPECT_EQ(shake_hands("elsewhere").category(), net::error::get_ssl_category());
}

const auto kName = [](const auto& info) { return info.param ? "Encrypted" : "Plain"; };
INSTANTIATE_TEST_SUITE_P(Kinds, NetStreamTest, testing::Bool(), kName);
INSTANTIATE_TEST_SUITE_P(Kinds, EncryptedStreamTest, testing::Values(true), kName);

}  // namespace
}  // namespace pi0
