// A server in a test, and a client that says to it exactly what a test wants said.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "base/test_support.h"
#include "pi0/policy.h"
#include "serve/server.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {

inline const std::filesystem::path kServedPolicy =
    std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy";

inline ServerOptions served(const std::filesystem::path& checkpoint = kServedPolicy) {
  ServerOptions options;
  options.checkpoint = checkpoint;
  options.devices = {{.device = "cpu", .dtype = "fp32", .threads = 1}};
  options.port = 0;
  return options;
}

// served()'s, but that it says 2 Euler steps, not 10.
inline std::filesystem::path policy_of_two_steps(const std::filesystem::path& directory) {
  std::filesystem::copy(kServedPolicy, directory);
  std::string config;
  {
    std::ifstream in(directory / "config.json");
    config.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::string ten = "\"num_inference_steps\": 10";
  const std::size_t at = config.find(ten);
  if (at == std::string::npos) {
    ADD_FAILURE() << "no " << ten << " in " << config;
    return directory;
  }
  config.replace(at, ten.size(), "\"num_inference_steps\": 2");
  std::ofstream(directory / "config.json") << config;
  return directory;
}

// Runs until it is stopped or ends with the test.
class RunningServer {
 public:
  explicit RunningServer(const ServerOptions& options)
      : server_(options, {.ready =
                              [this] {
                                const std::lock_guard lock(mutex_);
                                ++ready_;
                                changed_.notify_all();
                              },
                          .said =
                              [this](const std::string& sentence) {
                                const std::lock_guard lock(mutex_);
                                said_.push_back(sentence);
                                changed_.notify_all();
                              }}),
        port_(server_.port()),
        thread_([this] {
          server_.run();
          done_ = true;
        }) {
    wait([this] { return ready_ > 0; });
  }
  ~RunningServer() { stop(); }

  Server& server() { return server_; }
  int port() const { return port_; }
  bool done() const { return done_; }
  void stop() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }
  // Until the server says something with `words` in it; false after a while.
  bool says(const std::string& words) {
    return wait([&] {
      for (const std::string& sentence : said_) {
        if (sentence.find(words) != std::string::npos) return true;
      }
      return false;
    });
  }

 private:
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int ready_ = 0;
  std::vector<std::string> said_;
  std::atomic<bool> done_ = false;
  Server server_;
  int port_;
  std::thread thread_;
};

// What came in a frame; its values are of its bytes.
struct Frame {
  std::vector<std::byte> bytes;
  bool binary = false;
  Value value = {};

  std::string text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // By the keys on the way there; fails the test where there is none.
  const Value& at(std::initializer_list<std::string_view> keys) const {
    const Value* found = &value;
    for (const std::string_view key : keys) {
      const auto* const map = found->as<ValueMap>();
      const Value* const next = map ? find_value(*map, key) : nullptr;
      if (!next) {
        ADD_FAILURE() << "no " << key << " in " << describe(*found);
        return value;
      }
      found = next;
    }
    return *found;
  }
  bool has(std::string_view key) const {
    const auto* const map = value.as<ValueMap>();
    return map && find_value(*map, key);
  }
};

using Headers = std::map<std::string, std::string>;

// Blocks; what fails throws boost::system::system_error.
class RawClient {
 public:
  explicit RawClient(int port, const std::string& target = "/", const Headers& headers = {})
      : socket_(io_) {
    boost::asio::connect(socket_.next_layer(), boost::asio::ip::tcp::resolver(io_).resolve(
                                                   "127.0.0.1", std::to_string(port)));
    socket_.set_option(boost::beast::websocket::stream_base::decorator(
        [headers](boost::beast::websocket::request_type& request) {
          for (const auto& [name, value] : headers) request.set(name, value);
        }));
    socket_.read_message_max(0);
    socket_.handshake("localhost:" + std::to_string(port), target);
  }

  void send(const std::vector<std::byte>& message, bool binary = true) {
    socket_.binary(binary);
    socket_.write(boost::asio::buffer(message));
  }
  Frame read() {
    boost::beast::flat_buffer buffer;
    socket_.read(buffer);
    Frame frame;
    const auto* const begin = static_cast<const std::byte*>(buffer.cdata().data());
    frame.bytes.assign(begin, begin + buffer.size());
    frame.binary = socket_.got_binary();
    if (frame.binary) frame.value = decode(frame.bytes);
    return frame;
  }
  Frame ask(const std::vector<std::byte>& message) {
    send(message);
    return read();
  }
  // The code that the server closes with, which has to be what comes next.
  int close_code() {
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    socket_.read(buffer, error);
    EXPECT_EQ(error, boost::beast::websocket::error::closed);
    return socket_.reason().code;
  }
  void hang_up() { socket_.next_layer().close(); }
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket>& socket() { return socket_; }

 private:
  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_;
};

struct HttpReply {
  unsigned status = 0;
  std::string type = {}, body = {}, authenticate = {};
};

inline HttpReply get(boost::asio::ip::tcp::socket& socket, int port, const std::string& target,
                     const Headers& headers = {}) {
  namespace http = boost::beast::http;
  http::request<http::empty_body> request(http::verb::get, target, 11);
  request.set(http::field::host, "localhost:" + std::to_string(port));
  for (const auto& [name, value] : headers) request.set(name, value);
  http::write(socket, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(socket, buffer, response);
  const auto header = [&response](http::field field) {
    return std::string(response[field].data(), response[field].size());
  };
  return {response.result_int(), header(http::field::content_type), response.body(),
          header(http::field::www_authenticate)};
}

inline HttpReply get(int port, const std::string& target, const Headers& headers = {}) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket socket(io);
  boost::asio::connect(
      socket, boost::asio::ip::tcp::resolver(io).resolve("127.0.0.1", std::to_string(port)));
  return get(socket, port, target, headers);
}

// served()'s policy without a server.
inline const Policy& local() {
  static const Policy policy =
      Policy::load(kServedPolicy, {.device = "cpu", .dtype = "fp32", .threads = 1});
  return policy;
}

// What examples/policy's robot sees at a moment.
inline Observation seen(float at = 0.1f) {
  Image image{32, 40, std::vector<std::uint8_t>(3 * 32 * 40)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>(i * 7 + static_cast<std::size_t>(at * 100));
  }
  Observation observation;
  observation.images["base_0_rgb"] = std::move(image);
  observation.state = {at, 0.6f, 0.2f, 0.5f};
  observation.prompt = "open the drawer";
  return observation;
}

// The same as a message; `options`, encoded, under "pi0".
inline std::vector<std::byte> message_of(const Observation& observation,
                                         const std::vector<std::byte>& options = {}) {
  Encoder encoder;
  encoder.map(options.empty() ? 3 : 4);
  const Image& image = observation.images.begin()->second;
  encoder.text("observation.images.base_0_rgb").pixels(image.height, image.width, image.rgb);
  encoder.text("observation.state").array({std::ssize(observation.state)}, observation.state);
  encoder.text("task").text(*observation.prompt);
  if (!options.empty()) encoder.text("pi0").encoded(options);
  return encoder.take();
}

}  // namespace pi0
