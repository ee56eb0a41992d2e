#include "model/random_weights.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <map>

namespace pi0 {
namespace {

// Values that N(0, 1) takes with equal probability each: a draw is an index, so three billion of
// them take seconds. Its ends are at 3.7.
constexpr std::size_t kQuantiles = 4096;
using Quantiles = std::array<float, kQuantiles>;

Quantiles normal_quantiles() {
  Quantiles quantiles;
  for (std::size_t i = 0; i < kQuantiles / 2; ++i) {
    // The upper half: 1 - Φ(x) = probability, by bisection.
    const double probability = (static_cast<double>(i) + 0.5) / kQuantiles;
    double low = 0, high = 8;
    for (int step = 0; step < 40; ++step) {
      const double middle = (low + high) / 2;
      (std::erfc(middle / std::sqrt(2.0)) / 2 > probability ? low : high) = middle;
    }
    quantiles[i] = static_cast<float>(low);
    quantiles[kQuantiles - 1 - i] = -quantiles[i];
  }
  return quantiles;
}

// SplitMix64's finalizer: every bit of the result depends on every bit of the counter.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::uint64_t hash(const std::string& name) {  // FNV-1a
  std::uint64_t value = 0xcbf29ce484222325ull;
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return mix(value);
}

struct Distribution {
  double mean = 0;
  double deviation = 1;
};

Distribution distribution_of(const std::string& name, const Shape& shape) {
  const bool norm =
      name.find("norm") != std::string::npos && name.find("dense") == std::string::npos;
  if (name.ends_with(".bias")) return {0, 0.02};
  // SigLIP multiplies by the weight, Gemma by 1 + weight.
  if (norm) return {name.find("vision_model") != std::string::npos ? 1.0 : 0.0, 0.1};
  if (name.find("position_embedding") != std::string::npos) return {0, 0.02};
  const std::int64_t inputs = element_count(shape) / shape[0];
  return {0, 1 / std::sqrt(static_cast<double>(inputs))};
}

class RandomWeights final : public WeightSource {
 public:
  RandomWeights(const ModelConfig& config, bool with_data) : with_data_(with_data) {
    for (TensorSpec& spec : architecture(config)) {
      if (!spec.optional) shapes_.emplace(std::move(spec.name), std::move(spec.shape));
    }
  }

  HostTensor tensor(const std::string& name) const override {
    const auto found = shapes_.find(name);
    assert(found != shapes_.end());
    HostTensor tensor{name, DType::kBF16, found->second, nullptr, nullptr};
    if (!with_data_) return tensor;
    auto values = std::make_shared<std::vector<std::uint16_t>>(
        static_cast<std::size_t>(element_count(tensor.shape)));
    fill(name, tensor.shape, *values);
    tensor.data = reinterpret_cast<const std::byte*>(values->data());
    tensor.owner = std::move(values);
    return tensor;
  }

  DType dtype(const std::string&) const override { return DType::kBF16; }

 private:
  static void fill(const std::string& name, const Shape& shape, std::span<std::uint16_t> out) {
    static const Quantiles quantiles = normal_quantiles();
    const Distribution distribution = distribution_of(name, shape);
    std::array<std::uint16_t, kQuantiles> table;
    for (std::size_t i = 0; i < kQuantiles; ++i) {
      table[i] = float_to_bf16(
          static_cast<float>(distribution.mean + distribution.deviation * double{quantiles[i]}));
    }
    std::uint64_t counter = hash(name);
    constexpr std::size_t kDraws = 4;  // of one hash, 16 bits each
    for (std::size_t i = 0; i < out.size(); i += kDraws) {
      const std::uint64_t bits = mix(counter += 0x9e3779b97f4a7c15ull);
      for (std::size_t draw = 0; draw < std::min(kDraws, out.size() - i); ++draw) {
        out[i + draw] = table[(bits >> (16 * draw)) % kQuantiles];
      }
    }
  }

  std::map<std::string, Shape> shapes_;
  bool with_data_;
};

}  // namespace

ModelConfig full_size_config(ModelKind kind) {
  ModelConfig config;
  config.kind = kind;
  config.vocab_size = 1024;
  if (kind == ModelKind::kPi05) config.max_tokens = 200;
  return config;
}

std::shared_ptr<const WeightSource> make_random_weights(const ModelConfig& config) {
  return std::make_shared<RandomWeights>(config, true);
}

std::shared_ptr<const WeightSource> make_weight_shapes(const ModelConfig& config) {
  return std::make_shared<RandomWeights>(config, false);
}

}  // namespace pi0
