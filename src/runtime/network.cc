#include "pi0/network.h"

#include <mutex>

#include "pi0/error.h"
#include "runtime/held.h"
#include "runtime/loaded_network.h"
#include "runtime/noise.h"
#include "runtime/pack_input.h"
#include "runtime/session.h"
#include "runtime/stopwatch.h"

namespace pi0 {

std::vector<float> draw_noise(std::uint64_t seed, const NetworkInfo& network) {
  std::vector<float> noise(static_cast<std::size_t>(network.action_horizon) *
                           static_cast<std::size_t>(network.action_dim));
  draw_noise(seed, noise);
  return noise;
}

// Calls of the sessions of one network take turns.
struct NetworkSession::Impl {
  explicit Impl(std::shared_ptr<LoadedNetwork> loaded)
      : network(std::move(loaded)), session(std::make_unique<Pi0Session>(network->model())) {}
  ~Impl() {
    const std::lock_guard device(network->mutex());
    session.reset();
  }
  Impl(Impl&&) = delete;

  std::shared_ptr<LoadedNetwork> network;
  std::unique_ptr<Pi0Session> session;
};

struct Network::Impl {
  explicit Impl(std::shared_ptr<LoadedNetwork> network)
      : loaded(std::move(network)), session(std::make_unique<NetworkSession::Impl>(loaded)) {}

  std::shared_ptr<LoadedNetwork> loaded;
  std::mutex mutex;
  NetworkSession session;  // of the network's own calls
};

Network LoadedNetwork::share(std::shared_ptr<LoadedNetwork> network) {
  return Network(std::make_unique<Network::Impl>(std::move(network)));
}

const LoadedNetwork& LoadedNetwork::of(const Network& network) { return *network.impl().loaded; }

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Network Network::load(const std::filesystem::path& checkpoint, const DeviceOptions& options,
                      const std::filesystem::path& base) {
  CheckpointOverrides reading{.network_alone = true};
  if (!base.empty()) reading.base = base;
  return load_network(open_checkpoint(checkpoint, reading), options);
}

Network::Impl& Network::impl() const { return held(impl_, "Network", "network", "load anew"); }

const NetworkInfo& Network::info() const { return impl().loaded->info(); }
const std::string& Network::device() const { return impl().loaded->device(); }

std::vector<float> Network::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                           Timing* timing) const {
  Impl& own = impl();
  const std::lock_guard lock(own.mutex);
  return own.session.sample_actions(input, options, timing);
}

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
  Impl& own = impl();
  const Stopwatch watch;
  const Pi0Input packed = pack_input(input, options, own.network->info());
  Pi0Timing spent;
  std::vector<float> actions;
  {
    const std::lock_guard device(own.network->mutex());
    actions = own.session->sample_actions(
        packed, timing != nullptr && options.time_stages ? &spent : nullptr);
  }
  require_finite_values("actions", actions);  // an overflow inside the network is not passed on
  if (timing != nullptr) {
    *timing = {.vision_ms = spent.vision,
               .prefix_ms = spent.prefix,
               .denoise_ms = spent.denoise,
               .total_ms = watch.elapsed_ms()};
  }
  return actions;
}

void NetworkSession::prefetch(const NetworkInput& next) {
  Impl& own = impl();
  PackedImages images = pack_images(next, own.network->info());
  const std::lock_guard device(own.network->mutex());
  own.session->prefetch(std::move(images.values));
}

}  // namespace pi0
