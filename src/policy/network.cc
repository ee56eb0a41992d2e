#include "pi0/network.h"

#include "pi0/error.h"
#include "policy/network_impl.h"

namespace pi0 {

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Network Network::load(const std::filesystem::path& checkpoint, const NetworkOptions& options) {
  return Network(
      std::make_unique<Impl>(open_checkpoint(checkpoint, {.network_alone = true}), options));
}

Network::Impl& Network::impl() const {
  if (impl_ == nullptr) {
    throw Error(
        ErrorCode::kInvalidInput,
        "this Network was moved from, expected one that holds a network: use the one that it "
        "was moved to, or load anew");
  }
  return *impl_;
}

const NetworkInfo& Network::info() const { return impl().runner.info(); }
const std::string& Network::device() const { return impl().runner.device(); }

std::vector<float> Network::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                           Timing* timing) const {
  return impl().runner.sample_actions(input, options, timing);
}

}  // namespace pi0
