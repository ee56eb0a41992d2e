// Prompts of the TTNN device: of any length, one trace, and nothing of the padding.
#include "device/ttnn/prompt_tables.h"

#include <algorithm>

#include "device/ttnn/ttnn_device.h"
#include "device/ttnn/ttnn_testing.h"

namespace pi0 {
namespace {

constexpr std::int64_t kWidth = 64;

// What a prompt goes through: two layers of a prefix, a state behind it, and actions that see both.
class Network {
 public:
  explicit Network(Device& device) : device_(device) {
    Random random;
    QkvSource source;
    source.heads = {2, 1, 32, /*rotary=*/true};
    source.q = random.weight(64, kWidth);
    source.k = random.weight(32, kWidth);
    source.v = random.weight(32, kWidth);
    qkv_ = device.prepare_qkv(source);
    out_ = device.prepare_linear(random.weight(kWidth, 64), nullptr, &source.heads);
    norm_ = device.prepare_rms_norm(random.tensor({kWidth}, 0.3f));
  }

  // images, language, state, actions [rows, kWidth] -> of `actions`, [rows, kWidth].
  Tensor operator()(const Tensor& images, const Tensor& language, const Tensor& state,
                    const Tensor& actions) {
    const Tensor* const parts[] = {&images, &language};
    Tensor x = device_.concatenate_rows(parts);
    Qkv first = device_.qkv(normalised(x), *qkv_, {});
    x = device_.linear_residual(device_.attention(std::move(first.queries), first.own, nullptr),
                                *out_, std::move(x));
    KeysValues before = device_.keys_values(normalised(x), *qkv_, {});
    KeysValues of_state = device_.keys_values(normalised(state), *qkv_, {.after = &before});
    cache = device_.concatenate_tokens(std::move(before), std::move(of_state));
    prefix = std::move(x);
    Qkv own = device_.qkv(normalised(actions), *qkv_, {.after = &cache});
    return device_.linear(device_.attention(std::move(own.queries), own.own, &cache), *out_);
  }

  Tensor prefix;     // what the first layer gave
  KeysValues cache;  // of the second, with the state's

 private:
  Tensor normalised(const Tensor& x) { return device_.rms_norm(x, *norm_, 1e-6f); }

  Device& device_;
  std::unique_ptr<QkvWeights> qkv_;
  std::unique_ptr<LinearWeights> out_;
  std::unique_ptr<NormWeights> norm_;
};

using TtnnPromptTest = TtnnTest;

// Whatever the prompt's length within its tiles, what is replayed is what the reference computes
// of those tokens alone.
TEST_P(TtnnPromptTest, OneTraceIsOfEveryLength) {
  Network network(*ttnn), expected_network(*reference);
  struct Case {
    std::int64_t images;
    std::vector<std::int64_t> lengths;
  };
  for (const Case& c : {Case{64, {5, 5, 32, 1, 17, 31}}, Case{12, {40, 33, 33, 64, 63, 50}}}) {
    const Both images = upload({c.images, kWidth}), state = upload({1, kWidth}),
               actions = upload({7, kWidth});
    const auto write = [&](std::int64_t length) { return random.values(length * kWidth); };
    Tensor language = ttnn->upload_prompt({c.lengths[0], kWidth}, write(c.lengths[0]));
    Tensor y;
    std::unique_ptr<Trace> trace;
    int times = 0;
    for (const std::int64_t length : c.lengths) {
      const std::string what = name({c.images, length});
      const std::vector<float> values = write(length);
      ASSERT_EQ(ttnn->prompt_rows(length), ttnn->prompt_rows(c.lengths[0]));
      ttnn->write(language, values);
      EXPECT_EQ(language.shape(), (Shape{length, kWidth}));
      const int before = times;
      ttnn->run(trace, [&] {
        ++times;
        y = network(images.ttnn, language, state.ttnn, actions.ttnn);
      });
      const Tensor expected =
          expected_network(images.reference, reference->upload({length, kWidth}, values),
                           state.reference, actions.reference);
      expect_same(y, expected, "actions" + what);
      if (times == before) continue;
      // What was computed tells of its shape: of the tokens alone.
      expect_same(language, reference->upload({length, kWidth}, values), "language" + what);
      expect_same(network.prefix, expected_network.prefix, "prefix" + what);
      expect_same(network.cache.keys, expected_network.cache.keys, "keys" + what);
      expect_same(network.cache.values, expected_network.cache.values, "values" + what);
    }
    EXPECT_EQ(times, 2);  // compiled, captured
  }
}

// Not a bit of any result changes with what lies in a prompt's padding.
TEST_P(TtnnPromptTest, PaddingHasNoInfluence) {
  auto shim = make_emulated_shim(card);
  shim::Api& api = *shim;
  const auto device = make_ttnn_device(std::move(shim), default_policies(card), "ttnn-emulated");
  Network network(*device);
  const auto upload = [&](std::int64_t rows) {
    return device->upload({rows, kWidth}, random.values(rows * kWidth));
  };
  const Tensor images = upload(12), state = upload(1), actions = upload(7);
  for (const std::int64_t length : {1, 20, 31}) {
    const std::vector<float> values = random.values(length * kWidth);
    const Tensor language = device->upload_prompt({length, kWidth}, values);
    const auto results = [&] {
      const Tensor y = network(images, language, state, actions);
      return std::vector{device->download(y), device->download(network.prefix),
                         device->download(network.cache.keys),
                         device->download(network.cache.values)};
    };
    const auto expected = results();
    for (const float size : {1.0f, 1e4f, 1e30f}) {
      const std::int64_t padding = device->prompt_rows(length) - length;
      std::vector<float> rows = values;
      for (const float value : random.values(padding * kWidth, size)) rows.push_back(value);
      api.copy_to_device(rows, language.as<ttnn::Stored>().tensor, 0);
      EXPECT_EQ(results(), expected) << length << " " << size;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cards, TtnnPromptTest, testing::Values("n150", "p150"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pi0
