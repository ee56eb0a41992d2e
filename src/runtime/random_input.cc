#include "runtime/random_input.h"

#include <random>

#include "pi0/error.h"
#include "runtime/noise.h"

namespace pi0 {
namespace {

int chosen(const char* what, int asked, int most) {
  if (asked > most) {
    throw Error(
        ErrorCode::kInvalidInput,
        std::to_string(asked) + " " + what + ": the network takes at most " + std::to_string(most));
  }
  return asked == 0 ? most : asked;
}

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

NetworkCall random_call(const ModelConfig& config, const InputSize& size, std::uint64_t seed) {
  const int cameras = chosen("cameras", size.cameras, config.num_cameras);
  const int tokens = chosen("tokens", size.tokens, config.max_tokens);
  NetworkCall call;
  std::mt19937_64 generator(seed);  // whose values the standard fixes, unlike its distributions'
  const auto pixels = static_cast<std::size_t>(config.image_size) * config.image_size;
  call.input.images.resize(static_cast<std::size_t>(cameras) * 3 * pixels);
  for (float& value : call.input.images) {
    value = static_cast<float>(static_cast<double>(generator() >> 40) / (1 << 23) - 1);
  }
  for (int i = 0; i < tokens; ++i) {
    call.input.tokens.push_back(
        static_cast<std::int32_t>(generator() % static_cast<std::uint64_t>(config.vocab_size)));
  }
  if (config.kind == ModelKind::kPi0) {
    call.input.state.resize(static_cast<std::size_t>(config.state_dim));
    draw_noise(generator(), call.input.state);
  }
  call.options.steps = size.steps;
  call.options.noise.resize(static_cast<std::size_t>(config.action_horizon) * config.action_dim);
  draw_noise(generator(), call.options.noise);
  return call;
}

std::string network_name(const ModelConfig& config) {
  return config.kind == ModelKind::kPi0 ? "pi0" : "pi05";
}

std::string describe(const ModelConfig& config, const NetworkCall& call) {
  const auto pixels = static_cast<std::size_t>(config.image_size) * config.image_size;
  const int steps = call.options.steps != 0 ? call.options.steps : config.num_steps;
  return counted(call.input.images.size() / (3 * pixels), "camera") + ", " +
         counted(call.input.tokens.size(), "token") + ", " +
         counted(static_cast<std::size_t>(steps), "step");
}

}  // namespace pi0
