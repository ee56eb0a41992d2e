#include "pi0/network.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "pi0/error.h"
#include "runtime/devices.h"
#include "runtime/held.h"
#include "runtime/loaded_network.h"
#include "runtime/noise.h"
#include "runtime/pack_input.h"
#include "runtime/session.h"
#include "runtime/stopwatch.h"

namespace pi0 {
namespace {

// What the caller gave was finite, so that this is the network's doing, and not passed on.
void require_finite_actions(const std::vector<float>& actions, const std::string& device) {
  const auto found =
      std::find_if(actions.begin(), actions.end(), [](float x) { return !std::isfinite(x); });
  if (found == actions.end()) return;
  throw Error(ErrorCode::kNotFinite,
              "the network has computed actions that are not finite (value " +
                  std::to_string(found - actions.begin()) + " of " +
                  std::to_string(actions.size()) + " is " + std::to_string(*found) + ") on " +
                  device +
                  ": its weights overflow there, or what it was given is far from all "
                  "that it was trained on");
}

}  // namespace

std::vector<float> draw_noise(std::uint64_t seed, const NetworkInfo& network) {
  std::vector<float> noise(static_cast<std::size_t>(network.action_horizon) *
                           static_cast<std::size_t>(network.action_dim));
  draw_noise(seed, noise);
  return noise;
}

// Calls of the sessions on one device take turns.
struct NetworkSession::Impl {
  explicit Impl(std::shared_ptr<LoadedNetwork> loaded)
      : network(std::move(loaded)), session(std::make_unique<Pi0Session>(network->model())) {}
  ~Impl() {
    if (counted) --network->callers();
    const std::lock_guard device(network->mutex());
    session.reset();
  }
  Impl(Impl&&) = delete;

  std::shared_ptr<LoadedNetwork> network;
  std::unique_ptr<Pi0Session> session;
  bool counted = false;  // among the network's callers
};

struct Network::Impl {
  explicit Impl(std::vector<std::shared_ptr<LoadedNetwork>> networks)
      : loaded(std::move(networks)),
        session(std::make_unique<NetworkSession::Impl>(loaded.front())) {
    for (const std::shared_ptr<LoadedNetwork>& network : loaded) {
      device += (device.empty() ? "" : ", ") + network->device();
    }
  }

  // One of those that the fewest sessions are on.
  std::unique_ptr<NetworkSession::Impl> session_on_least() {
    const std::lock_guard lock(choosing);
    const auto least = std::min_element(
        loaded.begin(), loaded.end(),
        [](const auto& one, const auto& other) { return one->callers() < other->callers(); });
    auto made = std::make_unique<NetworkSession::Impl>(*least);
    ++(*least)->callers();
    made->counted = true;
    return made;
  }

  const std::vector<std::shared_ptr<LoadedNetwork>> loaded;  // a device each, at least one
  std::string device;
  std::mutex choosing;
  std::mutex mutex;
  NetworkSession session;  // of the network's own calls
};

Network LoadedNetwork::share(std::vector<std::shared_ptr<LoadedNetwork>> networks) {
  return Network(std::make_unique<Network::Impl>(std::move(networks)));
}

const LoadedNetwork& LoadedNetwork::of(const Network& network) {
  return *network.impl().loaded.front();
}

std::vector<NetworkSession> LoadedNetwork::session_on_each(const Network& network) {
  std::vector<NetworkSession> sessions;
  for (const std::shared_ptr<LoadedNetwork>& loaded : network.impl().loaded) {
    sessions.push_back(NetworkSession(std::make_unique<NetworkSession::Impl>(loaded)));
  }
  return sessions;
}

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Network Network::load(const std::filesystem::path& checkpoint, const DeviceOptions& options,
                      const std::filesystem::path& base) {
  CheckpointOverrides reading{.network_alone = true};
  if (!base.empty()) reading.base = base;
  return load_on_each(open_checkpoint(checkpoint, reading), each_device(options));
}

Network::Impl& Network::impl() const { return held(impl_, "Network", "network", "load anew"); }

const NetworkInfo& Network::info() const { return impl().loaded.front()->info(); }
const std::string& Network::device() const { return impl().device; }

std::vector<float> Network::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                           Timing* timing) const {
  Impl& own = impl();
  const std::lock_guard lock(own.mutex);
  return own.session.sample_actions(input, options, timing);
}

NetworkSession Network::session() const { return NetworkSession(impl().session_on_least()); }

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
  own.network->require_unchanged();
  Pi0Timing spent;
  std::vector<float> actions;
  {
    const std::lock_guard device(own.network->mutex());
    actions = own.session->sample_actions(
        packed, timing != nullptr && options.time_stages ? &spent : nullptr);
  }
  require_finite_actions(actions, own.network->device());
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
  own.network->require_unchanged();
  const std::lock_guard device(own.network->mutex());
  own.session->prefetch(std::move(images.values));
}

}  // namespace pi0
