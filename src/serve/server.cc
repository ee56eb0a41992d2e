#include "serve/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <thread>

#include "serve/connection.h"
#include "serve/conversation.h"
#include "serve/dispatcher.h"
#include "serve/hub.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

// Beside clients: who asks for their health, or looks at the page.
constexpr int kOthers = 64;

void allow_many_files() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

[[noreturn]] void refuse_tls(const std::filesystem::path& file, const error_code& error) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: {}, expected PEM", file.string(), error.message()));
}

std::optional<net::ssl::context> make_tls(const ServerOptions& options) {
  if (options.tls_cert.empty()) return std::nullopt;
  net::ssl::context tls(net::ssl::context::tls_server);
  tls.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                  net::ssl::context::no_tlsv1_1);
  error_code error;
  tls.use_certificate_chain_file(options.tls_cert.string(), error);
  if (error) refuse_tls(options.tls_cert, error);
  tls.use_private_key_file(options.tls_key.string(), net::ssl::context::pem, error);
  if (error) refuse_tls(options.tls_key, error);
  return tls;
}

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& given, Events wanted)
      : options(given), events(std::move(wanted)), tls(make_tls(given)), model(open_model(given)) {
    std::signal(SIGPIPE, SIG_IGN);
    allow_many_files();
    listen();
  }

  ~Impl() { end_calls(); }

  // A reload is in the dispatcher, which makes it stop and has to be there until it has.
  void end_calls() {
    if (dispatcher) dispatcher->drain();
    if (reloading.joinable()) reloading.join();
    dispatcher.reset();
  }

  void listen() {
    error_code error;
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(options.host, std::to_string(options.port), error);
    const std::string address = fmt::format("{}:{}", options.host, options.port);
    if (error || found.begin() == found.end()) {
      throw Error(ErrorCode::kInvalidInput, address + ": " + error.message());
    }
    const tcp::endpoint endpoint = *found.begin();
    const auto check = [&](const char* what) {
      if (error) {
        throw Error(ErrorCode::kIo,
                    fmt::format("{}: cannot {}: {}", address, what, error.message()));
      }
    };
    acceptor.open(endpoint.protocol(), error), check("listen");
    acceptor.set_option(tcp::acceptor::reuse_address(true), error), check("listen");
    acceptor.bind(endpoint, error), check("listen");
    acceptor.listen(net::socket_base::max_listen_connections, error), check("listen");
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (error) {  // no descriptor is free, say
        pause.expires_after(std::chrono::milliseconds(50));
        pause.async_wait([this](error_code stopped) {
          if (!stopped) accept();
        });
        return;
      }
      if (*connections < options.limits.connections + kOthers) {
        ++hub->metrics.connections;
        serve_connection(std::move(socket), tls ? &*tls : nullptr, *hub, connections);
      } else {
        ++hub->metrics.refused_connections;  // and is closed
      }
      accept();
    });
  }

  void say(const std::string& sentence) const {
    if (events.said) events.said(sentence);
  }

  void run() {
    if (!options.record.empty()) {
      recorder.emplace(options, [this](const std::string& sentence) { say(sentence); });
    }
    Dispatcher::Events happens;
    happens.progress = events.progress;
    happens.ready = events.ready;
    happens.failed = [this](std::exception_ptr error) {
      net::post(io, [this, error] {
        if (!failed) failed = error;
        begin_stop();
      });
    };
    dispatcher.emplace(options, model, std::move(happens));
    hub.emplace(options, *dispatcher,
                [this](std::function<void()> task) { net::post(io, std::move(task)); });
    hub->idle = [this] { io.stop(); };
    hub->said = events.said;
    if (recorder) hub->recorder = &*recorder;
    accept();
    const bool v6 = options.host.find(':') != std::string::npos;
    if (events.listening) {
      events.listening(
          fmt::format("{}{}{}:{}", v6 ? "[" : "", options.host, v6 ? "]" : "", port()));
    }
    for (const std::string& warning : model->warnings) say("warning: " + warning);
    io.run();
    // Whoever is still there after that is left, and its calls with it.
    const std::set<Conversation*> late = hub->conversations;
    for (Conversation* conversation : late) conversation->leave();
    end_calls();
    if (failed) std::rethrow_exception(failed);
  }

  void begin_stop() {
    if (hub->stopping) return io.stop();  // told twice
    error_code ignored;
    acceptor.close(ignored);
    pause.expires_after(
        std::chrono::milliseconds(static_cast<std::int64_t>(options.limits.grace_s * 1000)));
    pause.async_wait([this](error_code stopped) {
      if (!stopped) io.stop();
    });
    hub->stop();
  }

  void begin_reload() {
    if (is_reloading) return say("a reload is under way already");
    if (reloading.joinable()) reloading.join();
    is_reloading = true;
    reloading = std::thread([this] {
      std::string outcome;
      try {
        dispatcher->reload(open_model(options));
        outcome = "reloaded " + options.checkpoint.string();
      } catch (const std::exception& error) {
        outcome = fmt::format("not reloaded, what was served still is: {}", error.what());
      } catch (...) {
        outcome = "not reloaded: the server is stopping";
      }
      net::post(io, [this, outcome] {
        is_reloading = false;
        if (!failed) say(outcome);  // else it is the end, which says why
      });
    });
  }

  int port() const { return acceptor.is_open() ? acceptor.local_endpoint().port() : 0; }

  const ServerOptions options;
  const Events events;
  std::optional<net::ssl::context> tls;
  std::shared_ptr<const ServedModel> model;
  std::shared_ptr<int> connections = std::make_shared<int>(0);
  std::optional<CallRecorder> recorder;
  std::optional<Hub> hub;  // outlives what is under way in `io`
  net::io_context io{1};
  tcp::acceptor acceptor{io};
  net::steady_timer pause{io};
  std::exception_ptr failed;
  std::optional<Dispatcher> dispatcher;  // its threads post to `io`
  std::thread reloading;
  bool is_reloading = false;
};

Server::Server(const ServerOptions& options, Events events)
    : impl_(std::make_unique<Impl>(options, std::move(events))) {}
Server::~Server() = default;

int Server::port() const { return impl_->port(); }
void Server::run() { impl_->run(); }
void Server::stop() {
  net::post(impl_->io, [this] { impl_->begin_stop(); });
}
void Server::reload() {
  net::post(impl_->io, [this] { impl_->begin_reload(); });
}

}  // namespace pi0
