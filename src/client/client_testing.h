// Servers that a client meets in tests: those that do what a test says.
#pragma once

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {

// One connection at a time, each with `script`, which is told how many came before. What fails in
// it, as all does when the client leaves, ends the connection.
class ScriptedServer {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Script = std::function<void(Socket& socket, int before)>;

  explicit ScriptedServer(Script script)
      : acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}),
        thread_([this, script = std::move(script)] {
          for (int before = 0;; ++before) {
            Socket socket(io_);
            boost::system::error_code error;
            acceptor_.accept(socket, error);
            if (error) return;
            try {
              script(socket, before);
            } catch (const boost::system::system_error&) {
            }
          }
        }) {}
  ~ScriptedServer() {
    shutdown(acceptor_.native_handle(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }
  std::string url() const {
    return "ws://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

// A server's end of a websocket, after its handshake.
class ScriptedSocket {
 public:
  explicit ScriptedSocket(ScriptedServer::Socket& socket) : socket_(socket) { socket_.accept(); }

  void send(const std::vector<std::byte>& message) {
    socket_.binary(true);
    socket_.write(boost::asio::buffer(message));
  }
  void say(const std::string& text) {
    socket_.binary(false);
    socket_.write(boost::asio::buffer(text));
  }
  std::vector<std::byte> receive() {
    boost::beast::flat_buffer buffer;
    socket_.read(buffer);
    const auto* const begin = static_cast<const std::byte*>(buffer.cdata().data());
    return {begin, begin + buffer.size()};
  }
  // Reads until the client leaves.
  void be_silent() {
    for (;;) receive();
  }
  void close(std::uint16_t code, const std::string& reason) {
    socket_.close({static_cast<boost::beast::websocket::close_code>(code), reason});
  }
  boost::asio::ip::tcp::socket& lowest() { return socket_.next_layer(); }

 private:
  boost::beast::websocket::stream<ScriptedServer::Socket&> socket_;
};

// openpi's own: {}.
inline std::vector<std::byte> bare_metadata() { return Encoder().map(0).take(); }

// As libpi0's server says it, of a robot with one camera, "top".
inline std::vector<std::byte> metadata_of_ours() {
  Encoder encoder;
  encoder.map(1).text("pi0").map(2).text("version").text("0").text("robot").map(1);
  encoder.text("images").map(1).text("observation.images.top").text("top");
  return encoder.take();
}

// Two rows of three.
inline std::vector<std::byte> answer(float first = 1) {
  return Encoder()
      .map(1)
      .text("actions")
      .array({2, 3}, std::vector<float>{first, 2, 3, 4, 5, 6})
      .take();
}

inline std::vector<std::byte> error_answer(const std::string& code, const std::string& sentence) {
  Encoder encoder;
  encoder.map(1).text("error").map(2).text("code").text(code).text("message").text(sentence);
  return encoder.take();
}

}  // namespace pi0
