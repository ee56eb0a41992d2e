#include "pi0/network.h"

#include "pi0/error.h"
#include "runtime/held.h"
#include "runtime/network_impl.h"

namespace pi0 {

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Network Network::load(const std::filesystem::path& checkpoint, const DeviceOptions& options,
                      const std::filesystem::path& base) {
  CheckpointOverrides reading{.network_alone = true};
  if (!base.empty()) reading.base = base;
  return Network(std::make_unique<Impl>(
      std::make_shared<LoadedNetwork>(open_checkpoint(checkpoint, reading), options)));
}

Network::Impl& Network::impl() const { return held(impl_, "Network", "network", "load anew"); }

const NetworkInfo& Network::info() const { return impl().loaded->info(); }
const std::string& Network::device() const { return impl().loaded->device(); }

std::vector<float> Network::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                           Timing* timing) const {
  Impl& own = impl();
  const std::lock_guard lock(own.mutex);
  return own.runner.sample_actions(input, options, timing);
}

struct NetworkSession::Impl : Runner {
  using Runner::Runner;
};

NetworkSession Network::session() const {
  return NetworkSession(std::make_unique<NetworkSession::Impl>(impl().loaded));
}

NetworkSession::NetworkSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetworkSession::NetworkSession(NetworkSession&&) noexcept = default;
NetworkSession& NetworkSession::operator=(NetworkSession&&) noexcept = default;
NetworkSession::~NetworkSession() = default;

NetworkSession::Impl& NetworkSession::impl() const {
  return held(impl_, "NetworkSession", "session", "make another");
}

std::vector<float> NetworkSession::sample_actions(const NetworkInput& input,
                                                  const SampleOptions& options, Timing* timing) {
  return impl().sample_actions(input, options, timing);
}

void NetworkSession::prefetch(const NetworkInput& next) { impl().prefetch(next); }

}  // namespace pi0
