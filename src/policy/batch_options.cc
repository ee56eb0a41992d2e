#include "policy/batch_options.h"

#include <fmt/format.h>

#include "pi0/error.h"

namespace pi0 {

SampleOptions options_of_one(const SampleOptions& options, std::size_t index, std::size_t count) {
  SampleOptions one = options;
  const std::size_t each = options.noise.size() / count;
  const auto first = options.noise.begin() + static_cast<std::ptrdiff_t>(index * each);
  one.noise.assign(first, first + static_cast<std::ptrdiff_t>(each));
  if (one.seed) *one.seed += index;
  return one;
}

BatchOptions::BatchOptions(const SampleOptions& options, std::size_t calls,
                           const NetworkInfo& network)
    : options_(options), calls_(calls) {
  const std::size_t each = static_cast<std::size_t>(network.action_horizon) *
                           static_cast<std::size_t>(network.action_dim);
  if (!options.noise.empty() && options.noise.size() != calls * each) {
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
  SampleOptions one = options_of_one(options_, shared.call, calls_);
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
