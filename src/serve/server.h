// A policy server: openpi's protocol, for any number of clients.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "serve/options.h"

namespace pi0 {

// Movable through its pointer alone.
class Server {
 public:
  struct Events {
    std::function<void(const std::string&)> listening = {};  // the address, once it is
    std::function<void(const Progress&)> progress = {};      // of loading
    std::function<void()> ready = {};
    std::function<void(const std::string&)> said = {};  // worth a line of a log
  };

  // Opens the checkpoint and listens; loads nothing yet. Throws Error.
  Server(const ServerOptions& options, Events events);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;

  // Until it is told to stop. Throws Error where the policy cannot be loaded.
  void run();

  // From any thread. The call that is computed is finished and answered, others are refused; run
  // returns when all clients have left, or after `grace_s`.
  void stop();
  // The checkpoint, anew, from where it was read: what is there now is served as soon as it is
  // loaded. From any thread.
  void reload();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pi0
