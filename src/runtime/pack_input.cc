#include "runtime/pack_input.h"

#include <cmath>
#include <span>
#include <utility>

#include "pi0/error.h"
#include "runtime/guidance.h"
#include "runtime/noise.h"

namespace pi0 {
namespace {

constexpr int kMaxSteps = 10000;  // far above any use; keeps a mistyped number from hanging

void require(bool holds, const std::string& sentence) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, sentence);
}

std::string count(std::size_t number) { return std::to_string(number); }

// True where `mask` says so, or everywhere when there is none.
bool valid(const std::vector<std::uint8_t>& mask, std::size_t i) {
  return mask.empty() || mask[i] != 0;
}

}  // namespace

void require_finite_values(const char* name, const std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error(ErrorCode::kInvalidInput, std::string(name) + ": value " + count(i) + " is " +
                                              std::to_string(values[i]) +
                                              ", expected a finite number");
  }
}

PackedImages pack_images(const NetworkInput& input, const NetworkInfo& info) {
  const std::size_t pixels = static_cast<std::size_t>(info.image_size) * info.image_size;
  const std::size_t cameras = input.images.size() / (3 * pixels);
  const std::string sides = count(info.image_size) + ", " + count(info.image_size);
  require(input.images.size() == cameras * 3 * pixels,
          "images: " + count(input.images.size()) + " values, expected [cameras, " +
              (input.layout == PixelLayout::kHwc ? sides + ", 3" : "3, " + sides) +
              "], a multiple of " + count(3 * pixels));
  require(cameras <= static_cast<std::size_t>(info.num_cameras),
          "images: " + count(cameras) + " cameras, expected at most " + count(info.num_cameras));
  require(input.image_masks.empty() || input.image_masks.size() == cameras,
          "image_masks: " + count(input.image_masks.size()) + " flags for " + count(cameras) +
              " cameras");
  require_finite_values("images", input.images);
  PackedImages packed;
  packed.values.reserve(input.images.size());
  for (std::size_t camera = 0; camera < cameras; ++camera) {
    if (!valid(input.image_masks, camera)) continue;
    const auto values = std::span(input.images).subspan(camera * 3 * pixels, 3 * pixels);
    if (input.layout == PixelLayout::kHwc) {
      packed.values.insert(packed.values.end(), values.begin(), values.end());
    } else {
      for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
        for (std::size_t channel = 0; channel < 3; ++channel) {
          packed.values.push_back(values[channel * pixels + pixel]);
        }
      }
    }
    ++packed.cameras;
  }
  require(packed.cameras > 0, "images: no camera is valid, expected at least one");
  return packed;
}

Pi0Input pack_input(const NetworkInput& input, const SampleOptions& options,
                    const NetworkInfo& info) {
  Pi0Input packed;
  PackedImages images = pack_images(input, info);
  packed.images = std::move(images.values);
  packed.cameras = images.cameras;
  require(input.tokens.size() <= static_cast<std::size_t>(info.max_tokens),
          "tokens: " + count(input.tokens.size()) + ", expected at most " + count(info.max_tokens));
  require(input.token_mask.empty() || input.token_mask.size() == input.tokens.size(),
          "token_mask: " + count(input.token_mask.size()) + " flags for " +
              count(input.tokens.size()) + " tokens");
  for (std::size_t i = 0; i < input.tokens.size(); ++i) {
    if (!valid(input.token_mask, i)) continue;
    require(input.tokens[i] >= 0 && input.tokens[i] < info.vocab_size,
            "tokens: token " + count(i) + " is " + std::to_string(input.tokens[i]) +
                ", expected 0 to " + count(info.vocab_size - 1));
    packed.tokens.push_back(input.tokens[i]);
  }

  if (info.state_dim > 0) {
    require(input.state.size() == static_cast<std::size_t>(info.state_dim),
            "state: " + count(input.state.size()) + " values, expected " + count(info.state_dim) +
                " (padded with zeros)");
    require_finite_values("state", input.state);
    packed.state = input.state;
  }

  packed.steps = options.steps != 0 ? options.steps : info.num_steps;
  require(packed.steps > 0 && packed.steps <= kMaxSteps,
          "steps: " + std::to_string(packed.steps) + ", expected 1 to " + count(kMaxSteps));
  const std::size_t actions = static_cast<std::size_t>(info.action_horizon) * info.action_dim;
  require(!options.seed || options.noise.empty(),
          "seed and noise: both given, expected one of them (a seed draws the noise)");
  packed.noise = options.noise;
  if (packed.noise.empty()) {
    packed.noise.resize(actions);
    draw_noise(options.seed ? *options.seed : fresh_seed(), packed.noise);
  }
  require(packed.noise.size() == actions, "noise: " + count(packed.noise.size()) +
                                              " values, expected [" + count(info.action_horizon) +
                                              ", " + count(info.action_dim) + "]");
  require_finite_values("noise", packed.noise);
  if (options.progress) {
    packed.progress = [&options](std::string_view stage, int done, int total) {
      options.progress({stage, static_cast<std::size_t>(done), static_cast<std::size_t>(total)});
    };
  }
  if (options.rtc && options.rtc->mode == RtcMode::kGuided) {
    packed.guidance = pack_guidance(*options.rtc, info);
  } else if (options.rtc) {
    packed.held = pack_held_rows(*options.rtc, info);
  }
  packed.observe = options.observe;
  return packed;
}

}  // namespace pi0
