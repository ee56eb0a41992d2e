#include "model/random_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace pi0 {
namespace {

constexpr const char* kProjection =
    "paligemma_with_expert.gemma_expert.model.layers.1.mlp.down_proj.weight";

struct Moments {
  double mean = 0, deviation = 0, fourth = 0;  // the fourth over the deviation's: 3 for a normal
};

Moments moments_of(const std::vector<float>& values) {
  Moments moments;
  const auto count = static_cast<double>(values.size());
  for (const float value : values) moments.mean += value / count;
  double fourth = 0;
  for (const float value : values) {
    const double squared = (value - moments.mean) * (value - moments.mean);
    moments.deviation += squared / count;
    fourth += squared * squared / count;
  }
  moments.fourth = fourth / (moments.deviation * moments.deviation);
  moments.deviation = std::sqrt(moments.deviation);
  return moments;
}

double correlation(const std::vector<float>& a, const std::vector<float>& b, std::size_t shift) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i + shift < std::min(a.size(), b.size()); ++i) {
    ab += double{a[i]} * b[i + shift];
    aa += double{a[i]} * a[i];
    bb += double{b[i + shift]} * b[i + shift];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(RandomWeightsTest, EveryTensorOfTheArchitectureHasItsShape) {
  for (const ModelKind kind : {ModelKind::kPi0, ModelKind::kPi05}) {
    const ModelConfig config = full_size_config(kind);
    const auto shapes = make_weight_shapes(config);
    for (const TensorSpec& spec : architecture(config)) {
      if (spec.optional) continue;
      const HostTensor tensor = shapes->tensor(spec.name);
      EXPECT_EQ(tensor.shape, spec.shape) << spec.name;
      EXPECT_EQ(tensor.data, nullptr) << spec.name;
    }
  }
}

TEST(RandomWeightsTest, AProjectionIsNormalAndScaledByItsInputs) {
  const auto weights = make_random_weights(full_size_config(ModelKind::kPi0));
  const HostTensor tensor = weights->tensor(kProjection);
  ASSERT_EQ(tensor.shape, (Shape{1024, 4096}));
  const std::vector<float> values = tensor.to_floats();
  const Moments moments = moments_of(values);
  // Four million values: the mean's own deviation is 8e-6, bf16 rounds to 2^-9.
  EXPECT_NEAR(moments.mean, 0, 5e-5);
  EXPECT_NEAR(moments.deviation, 1 / 64.0, 1e-4);
  EXPECT_NEAR(moments.fourth, 3, 0.05);
  for (const std::size_t shift : {1u, 2u, 3u, 4u, 5u, 4096u}) {
    EXPECT_NEAR(correlation(values, values, shift), 0, 3e-3) << shift;
  }
}

TEST(RandomWeightsTest, ValuesDependOnNameAndIndexAlone) {
  const auto weights = make_random_weights(full_size_config(ModelKind::kPi0));
  const std::vector<float> once = weights->tensor(kProjection).to_floats();
  EXPECT_EQ(make_random_weights(full_size_config(ModelKind::kPi0))->tensor(kProjection).to_floats(),
            once);
  std::string other = kProjection;
  other.replace(other.find("layers.1."), 9, "layers.2.");
  EXPECT_NEAR(correlation(once, weights->tensor(other).to_floats(), 0), 0, 3e-3);
}

TEST(RandomWeightsTest, NormsLeaveTheirInputNearlyAsItIs) {
  const auto weights = make_random_weights(full_size_config(ModelKind::kPi0));
  const std::string paligemma = "paligemma_with_expert.paligemma.model.";
  const auto mean = [&](const std::string& name) {
    return moments_of(weights->tensor(paligemma + name).to_floats()).mean;
  };
  EXPECT_NEAR(mean("vision_tower.vision_model.post_layernorm.weight"), 1, 0.02);
  EXPECT_NEAR(mean("vision_tower.vision_model.post_layernorm.bias"), 0, 0.005);
  EXPECT_NEAR(mean("language_model.layers.0.input_layernorm.weight"), 0, 0.02);
  // π0.5's norms have a projection in their place.
  const auto adaptive = make_random_weights(full_size_config(ModelKind::kPi05));
  const Moments dense = moments_of(
      adaptive->tensor("paligemma_with_expert.gemma_expert.model.norm.dense.weight").to_floats());
  EXPECT_NEAR(dense.deviation, 1 / 32.0, 1e-3);
}

TEST(RandomWeightsTest, ATensorGoesWithItsOwner) {
  const auto weights = make_random_weights(full_size_config(ModelKind::kPi0));
  std::weak_ptr<const void> owner;
  {
    const HostTensor tensor = weights->tensor(kProjection);
    owner = tensor.owner;
    EXPECT_FALSE(owner.expired());
  }
  EXPECT_TRUE(owner.expired());
}

}  // namespace
}  // namespace pi0
