#include "policy/batch_options.h"

#include <fmt/format.h>

#include "pi0/error.h"

namespace pi0 {

BatchOptions::BatchOptions(const SampleOptions& options, std::size_t calls,
                           const NetworkInfo& network)
    : options_(options),
      size_(static_cast<std::size_t>(network.action_horizon) *
            static_cast<std::size_t>(network.action_dim)) {
  if (!options.noise.empty() && options.noise.size() != calls * size_) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("noise: {} values, expected [{}, {}, {}]", options.noise.size(), calls,
                            network.action_horizon, network.action_dim));
  }
  if (options.rtc && calls > 1) {
    throw Error(ErrorCode::kInvalidInput,
                "rtc: a chunk that continues another is of one observation, not of a batch");
  }
}

SampleOptions BatchOptions::of(const SharedCall& shared) {
  SampleOptions one = options_;
  if (!options_.noise.empty()) {
    const auto begin = options_.noise.begin() + static_cast<std::ptrdiff_t>(shared.call * size_);
    one.noise.assign(begin, begin + static_cast<std::ptrdiff_t>(size_));
  }
  if (options_.seed) one.seed = *options_.seed + shared.call;  // the first is as it would be alone
  one.progress = [this, stopped = shared.stopped](const Progress& progress) {
    stopped();
    if (!options_.progress) return;
    const std::lock_guard lock(telling_);
    options_.progress(progress);
  };
  if (options_.observe) {
    one.observe = [this](const Stage& stage) {
      const std::lock_guard lock(telling_);
      options_.observe(stage);
    };
  }
  return one;
}

}  // namespace pi0
