// What tests of devices share: weights from a formula and random ones, and every operation once.
// For tests only.
#pragma once

#include <cmath>
#include <initializer_list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "device/device.h"

namespace pi0 {

// Values that differ from element to element and from `seed` to seed, in [-1, 1].
inline std::vector<float> test_values(const Shape& shape, int seed) {
  std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i) * 1.7f + static_cast<float>(seed) * 0.61f);
  }
  return values;
}

inline HostTensor test_weight(const Shape& shape, int seed) {
  auto values = std::make_shared<std::vector<float>>(test_values(shape, seed));
  return {"weight " + std::to_string(seed), DType::kF32, shape,
          reinterpret_cast<const std::byte*>(values->data()), values};
}

// A random tensor in host memory.
class Random {
 public:
  std::vector<float> values(std::int64_t count, float size = 1) {
    std::normal_distribution<float> normal(0, size);
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& value : result) value = normal(generator_);
    return result;
  }
  HostTensor tensor(const Shape& shape, float size) {
    auto data = std::make_shared<std::vector<float>>(values(element_count(shape), size));
    return {"random", DType::kF32, shape, reinterpret_cast<const std::byte*>(data->data()), data};
  }
  // A weight [out, in] that keeps the size of what it multiplies.
  HostTensor weight(std::int64_t out, std::int64_t in) {
    return tensor({out, in}, 1.0f / std::sqrt(static_cast<float>(in)));
  }

 private:
  std::mt19937 generator_{7};
};

inline std::string name(std::initializer_list<std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text.append(" ").append(std::to_string(number));
  return text;
}

// Asks `device` for every operation that device.h has, and gives what came out, by name. Sizes are
// small and odd: 2 cameras of 6 x 6 pixels, patches of 3, width 6, 2 heads of 4 over one of keys.
inline std::map<std::string, std::vector<float>> every_operation(Device& device) {
  std::map<std::string, std::vector<float>> results;
  const auto keep = [&](const std::string& name, const Tensor& tensor) {
    results[name] = device.download(tensor);
  };
  const HeadShape heads{2, 1, 4, /*rotary=*/true};
  const HostTensor bias6 = test_weight({6}, 2);
  const auto patches =
      device.prepare_patch_embedding(test_weight({6, 3, 3, 3}, 1), bias6, test_weight({4, 6}, 3));
  const auto layer_norm = device.prepare_layer_norm(test_weight({6}, 4), bias6);
  const auto rms_norm = device.prepare_rms_norm(test_weight({6}, 5));
  const auto dense = device.prepare_modulation(test_weight({18, 6}, 6), test_weight({18}, 7));
  const auto square = device.prepare_linear(test_weight({6, 6}, 8), &bias6);
  const auto out = device.prepare_linear(test_weight({6, 8}, 9), nullptr, &heads);
  const auto mlp = device.prepare_gated_mlp(test_weight({10, 6}, 10), test_weight({10, 6}, 11),
                                            test_weight({6, 10}, 12));
  QkvSource source;
  source.heads = heads;
  source.q = test_weight({8, 6}, 13);
  source.k = test_weight({4, 6}, 14);
  source.v = test_weight({4, 6}, 15);
  const auto qkv_weights = device.prepare_qkv(source);

  device.mark("vision", 0);
  Tensor images = device.upload_images({2, 6, 6, 3}, test_values({2, 6, 6, 3}, 16), 3);
  device.write(images, test_values({2, 6, 6, 3}, 17));
  Tensor x = device.patch_embedding(images, *patches);  // [8, 6]
  keep("patch_embedding", x);
  x = device.layer_norm(x, *layer_norm, 1e-6f);
  keep("layer_norm", x);
  x = device.rms_norm(x, *rms_norm, 1e-6f);
  keep("rms_norm", x);

  device.mark("adaptive", 3);
  const Tensor condition = device.upload({1, 6}, test_values({1, 6}, 18));
  const Modulation modulation = device.modulation(condition, *dense);
  keep("modulation.gate", modulation.gate);
  x = device.rms_norm(x, modulation, 1e-6f);
  keep("rms_norm.modulated", x);
  x = device.linear(x, *square, Activation::kSilu, &modulation.shift);
  keep("linear", x);

  device.mark("layer", 1);
  const HeadSplit split{.sequences = 1, .first_position = 2};
  const KeysValues cache = device.keys_values(x, *qkv_weights, split);
  keep("keys_values.keys", cache.keys);
  for (const char* turn : {"", ".again"}) {  // reading the cache leaves it as it is
    Qkv qkv = device.qkv(x, *qkv_weights, {.sequences = 1, .first_position = 10});
    keep(std::string("qkv.queries") + turn, qkv.queries);
    const Tensor joined = device.attention(std::move(qkv.queries), qkv.own, &cache);
    keep(std::string("attention") + turn, joined);
    x = device.linear_residual(joined, *out, std::move(x), &modulation.gate);
    keep(std::string("linear_residual") + turn, x);
    KeysValues both =
        device.concatenate_tokens(std::move(qkv.own), device.keys_values(x, *qkv_weights, split));
    keep(std::string("concatenate_tokens.values") + turn, both.values);
    const Tensor normed = device.rms_norm(x, *rms_norm, 1e-6f);
    x = device.gated_mlp(normed, *mlp, std::move(x), turn[0] ? nullptr : &modulation.gate);
    keep(std::string("gated_mlp") + turn, x);
  }
  const Tensor* const parts[] = {&x, &condition};
  const Tensor rows = device.concatenate_rows(parts);
  keep("concatenate_rows", rows);
  keep("euler_step", device.euler_step(rows, rows, -0.25f));
  return results;
}

}  // namespace pi0
