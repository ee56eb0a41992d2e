// What tests of devices share: weights from a formula and random ones, and every operation once.
// For tests only.
#pragma once

#include <algorithm>
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

// A cache of so many tokens, for what is at the positions after them.
inline KeysValues cache_of(Device& device, std::int64_t tokens) {
  QkvSource source;
  source.heads = {1, 1, 2, /*rotary=*/true};
  source.k = test_weight({2, 1}, 1);
  source.v = test_weight({2, 1}, 2);
  return device.keys_values(device.upload({tokens, 1}, test_values({tokens, 1}, 3)),
                            *device.prepare_qkv(source), {});
}

inline std::string name(std::initializer_list<std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text.append(" ").append(std::to_string(number));
  return text;
}

// Of every_operation(): small and odd.
struct OperationSizes {
  std::int64_t cameras = 2, size = 6, patch = 3;  // pixels
  std::int64_t width = 6;
  int heads = 2, kv_heads = 1, head_dim = 4;
  std::int64_t hidden = 10;
  float weight = 1;  // the largest
};

// Asks `device` for every operation that device.h has, and gives what came out, by name.
inline std::map<std::string, std::vector<float>> every_operation(Device& device,
                                                                 const OperationSizes& sizes = {}) {
  std::map<std::string, std::vector<float>> results;
  const auto keep = [&](const std::string& name, const Tensor& tensor) {
    results[name] = device.download(tensor);
  };
  const auto weight = [&](const Shape& shape, int seed) {
    HostTensor made = test_weight(shape, seed);
    auto values = std::make_shared<std::vector<float>>(made.to_floats());
    for (float& value : *values) value *= sizes.weight;
    made.data = reinterpret_cast<const std::byte*>(values->data());
    made.owner = values;
    return made;
  };
  const std::int64_t width = sizes.width, patch = sizes.patch;
  const std::int64_t patches = sizes.size / patch * (sizes.size / patch);
  const HeadShape heads{sizes.heads, sizes.kv_heads, sizes.head_dim, /*rotary=*/true};
  const std::int64_t queries = std::int64_t{sizes.heads} * sizes.head_dim;
  const std::int64_t keys = std::int64_t{sizes.kv_heads} * sizes.head_dim;
  const HostTensor bias = weight({width}, 2);
  const auto patch_weights = device.prepare_patch_embedding(weight({width, 3, patch, patch}, 1),
                                                            bias, weight({patches, width}, 3));
  const auto layer_norm = device.prepare_layer_norm(weight({width}, 4), bias);
  const auto rms_norm = device.prepare_rms_norm(weight({width}, 5));
  const auto dense =
      device.prepare_modulation(weight({3 * width, width}, 6), weight({3 * width}, 7));
  const auto square = device.prepare_linear(weight({width, width}, 8), &bias);
  const auto out = device.prepare_linear(weight({width, queries}, 9), nullptr, &heads);
  const auto mlp =
      device.prepare_gated_mlp(weight({sizes.hidden, width}, 10), weight({sizes.hidden, width}, 11),
                               weight({width, sizes.hidden}, 12), WeightPrecision::kLayer);
  QkvSource source;
  source.heads = heads;
  source.q = weight({queries, width}, 13);
  source.k = weight({keys, width}, 14);
  source.v = weight({keys, width}, 15);
  const auto qkv_weights = device.prepare_qkv(source);

  device.mark({"vision", "vision"}, 0);
  const Shape pixels{sizes.cameras, sizes.size, sizes.size, 3};
  Tensor images = device.upload_images(pixels, test_values(pixels, 16), static_cast<int>(patch));
  device.write(images, test_values(pixels, 17));
  Tensor x = device.patch_embedding(images, *patch_weights);  // [cameras * patches, width]
  keep("patch_embedding", x);
  x = device.layer_norm(x, *layer_norm, 1e-6f);
  keep("layer_norm", x);
  x = device.rms_norm(x, *rms_norm, 1e-6f);
  keep("rms_norm", x);

  device.mark({"adaptive", "other"}, 3);
  const Tensor condition = device.upload({1, width}, test_values({1, width}, 18));
  const Modulation modulation = device.modulation(condition, *dense);
  keep("modulation.gate", modulation.gate);
  x = device.rms_norm(x, modulation, 1e-6f);
  keep("rms_norm.modulated", x);
  x = device.linear(x, *square, Activation::kSilu, &modulation.shift);
  keep("linear", x);

  device.mark({"layer", "other"}, 1);
  const KeysValues before = device.keys_values(x, *qkv_weights, {});
  const HeadSplit split{.sequences = 1, .after = &before};
  const KeysValues cache = device.keys_values(x, *qkv_weights, split);
  keep("keys_values.keys", cache.keys);
  for (const char* turn : {"", ".again"}) {  // reading the cache leaves it as it is
    Qkv qkv = device.qkv(x, *qkv_weights, {.sequences = 1, .after = &cache});
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

  device.mark({"prompt", "other"}, 0);
  Tensor prompt = device.upload_prompt({3, width}, test_values({3, width}, 19));
  device.write(prompt, test_values({3, width}, 20));
  const Tensor* const with_prompt[] = {&condition, &prompt};
  const Tensor prefix = device.concatenate_rows(with_prompt);
  keep("concatenate_rows.prompt", prefix);
  Qkv seen = device.qkv(prefix, *qkv_weights, {});
  keep("qkv.keys.prompt", seen.own.keys);
  keep("attention.prompt", device.attention(std::move(seen.queries), seen.own, nullptr));
  const HeadSplit behind{.sequences = 1, .after = &seen.own};
  KeysValues own = device.keys_values(condition, *qkv_weights, behind);
  seen.own = device.concatenate_tokens(std::move(seen.own), std::move(own));
  keep("concatenate_tokens.prompt", seen.own.keys);
  Qkv last = device.qkv(condition, *qkv_weights, behind);
  keep("attention.after_prompt", device.attention(std::move(last.queries), last.own, &seen.own));

  const Tensor* const parts[] = {&x, &condition};
  const Tensor rows = device.concatenate_rows(parts);
  keep("concatenate_rows", rows);
  // The first of them as `condition`, and with a gate a row.
  std::vector<float> first(static_cast<std::size_t>(element_count(rows.shape())));
  std::fill_n(first.begin(), width, 1.0f);
  std::vector<float> others(first);
  for (float& one : others) one = 1 - one;
  const Tensor of_first = device.upload(rows.shape(), first);
  const Tensor chosen =
      device.choose_rows(condition, of_first, rows, device.upload(rows.shape(), others));
  keep("choose_rows", chosen);
  Tensor residual = device.upload(rows.shape(), test_values(rows.shape(), 21));
  keep("linear_residual.by_row",
       device.linear_residual(rows, *square, std::move(residual), &chosen));
  keep("guided_velocity", device.guided_velocity(rows, rows, rows, rows, 0.75f, 2.5f));
  keep("euler_step", device.euler_step(rows, rows, -0.25f));
  return results;
}

}  // namespace pi0
