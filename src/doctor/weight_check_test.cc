#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "base/half.h"
#include "checkpoint/test_support.h"
#include "doctor/doctor_testing.h"
#include "doctor/value_summary.h"
#include "model/random_weights.h"

namespace pi0 {
namespace {

constexpr const char* kFile = "model.safetensors";
constexpr const char* kOut = "action_out_proj.weight";

using Edit = std::function<void(float* values, std::size_t count)>;

// examples/policy, which was trained, in fp32, with tensors edited of which `chosen` holds.
class WeightCheckTest : public testing::Test {
 protected:
  WeightCheckTest() {
    for (const char* name : {"config.json", kFile}) {
      std::filesystem::copy(std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy" / name,
                            checkpoint.path() / name,
                            std::filesystem::copy_options::overwrite_existing);
    }
  }
  void edit(const std::function<bool(const std::string&)>& chosen, const Edit& values) {
    checkpoint.edit_tensors(kFile, [&](std::vector<EditedTensor>& tensors) {
      for (EditedTensor& tensor : tensors) {
        if (!chosen(tensor.name)) continue;
        std::vector<float> widened(tensor.bytes.size() / 2);  // bf16
        values(widened.data(), widened.size());
        tensor = float_tensor(tensor.name, tensor.shape, widened);
        ++edited;
      }
    });
  }
  static std::function<bool(const std::string&)> with(const std::string& part) {
    return [part](const std::string& name) { return name.find(part) != std::string::npos; };
  }
  Findings findings() const {
    const Inspection inspection = inspect_checkpoint(checkpoint.path(), {.network_alone = true});
    EXPECT_NE(inspection.checkpoint.weights, nullptr);
    return weight_findings(inspection.checkpoint.model, *inspection.checkpoint.weights, {});
  }

  EditableCheckpoint checkpoint{"pi0_tiny_224"};
  int edited = 0;
};

Edit fill(float value) {
  return [value](float* values, std::size_t count) { std::fill_n(values, count, value); };
}

TEST_F(WeightCheckTest, ATrainedPolicyIsInOrder) { expect_no_findings(findings()); }

TEST_F(WeightCheckTest, NotFinite) {
  edit(with(kOut), [](float* values, std::size_t count) {
    values[1] = std::numeric_limits<float>::quiet_NaN();
    values[count - 1] = std::numeric_limits<float>::infinity();
  });
  expect_finding(findings(), Severity::kRefuse, {"not finite", "action_out_proj.weight (2 of"});
}

TEST_F(WeightCheckTest, AllZero) {
  edit(with("expert.model.layers.1.mlp.up_proj"), fill(0));
  expect_finding(findings(), Severity::kRefuse,
                 {"nothing but one number in 1 tensor", "layers.1.mlp.up_proj.weight (all 0)"});
}

TEST_F(WeightCheckTest, LayerNormsAtOne) {
  edit(
      [](const std::string& name) {
        return name.find("vision_model") != name.npos && name.find("norm") != name.npos &&
               name.ends_with(".weight");
      },
      fill(1));
  EXPECT_EQ(edited, 9);
  expect_finding(findings(), Severity::kRefuse, {"SigLIP's LayerNorm weights are all 1"});
}

TEST_F(WeightCheckTest, BiasesAtZero) {
  edit(
      [](const std::string& name) {
        return name.find("vision_model") != name.npos && name.ends_with(".bias");
      },
      fill(0));
  expect_finding(findings(), Severity::kRefuse, {"SigLIP's biases are all 0"});
}

TEST_F(WeightCheckTest, RmsNormsAtZero) {
  edit(
      [](const std::string& name) {
        return name.find("language_model.layers") != name.npos && name.find("norm") != name.npos;
      },
      fill(0));
  expect_finding(findings(), Severity::kRefuse, {"Gemma's RMSNorm weights are all 0"});
}

TEST_F(WeightCheckTest, TheExpertsNormsAtZero) {
  edit(
      [](const std::string& name) {
        return name.find("gemma_expert") != name.npos && name.find("norm") != name.npos;
      },
      fill(0));
  expect_finding(findings(), Severity::kRefuse, {"the expert's norms are all 0"});
}

TEST_F(WeightCheckTest, AProjectionAsTorchBeginsIt) {
  edit(with(kOut), [](float* values, std::size_t count) {
    std::mt19937 generator(3);
    std::uniform_real_distribution<float> draw(-1 / std::sqrt(128.0f), 1 / std::sqrt(128.0f));
    for (std::size_t i = 0; i < count; ++i) values[i] = draw(generator);
  });
  expect_finding(findings(), Severity::kRefuse, {"torch.nn.Linear", "1 tensor", kOut});
}

// As initialisers draw it, of which no layer is unlike another.
TEST(RandomWeightsTest, AreDrawnAlike) {
  ModelConfig model = full_size_config(ModelKind::kPi05);
  model.image_size = 28;
  model.vision = {256, 4, 512, 4, 14};
  model.language = {256, 5, 512, 4, 1, 64};
  model.expert = {256, 5, 512, 4, 1, 64};
  const Findings findings = weight_findings(model, *make_random_weights(model), {});
  for (const char* part : {"SigLIP", "Gemma", "the expert"}) {
    expect_finding(findings, Severity::kRefuse, {std::string("those of ") + part, "alike"});
  }
}

TEST(ValueSummaryTest, IsThatOfTheFormulas) {
  std::vector<float> values(5003);  // two blocks, and a tail that is no whole vector
  double square = 0, fourth = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 17) - 5.5f;
    square += std::pow(values[i], 2);
    fourth += std::pow(values[i], 4);
  }
  const HostTensor tensor{
      "t", DType::kF32, {5003}, reinterpret_cast<const std::byte*>(values.data()), nullptr};
  ValueSummary summary = summarise(tensor, 0, 3000);
  summary.add(summarise(tensor, 3000, 2003));
  EXPECT_EQ(summary.count, 5003);
  EXPECT_EQ(summary.not_finite, 0);
  EXPECT_EQ(summary.least, -5.5f);
  EXPECT_EQ(summary.largest, 10.5f);
  EXPECT_NEAR(summary.rms(), std::sqrt(square / 5003), 1e-5);
  EXPECT_NEAR(summary.kurtosis(), fourth * 5003 / (square * square), 1e-5);
  values[4999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(summarise(tensor, 0, 5003).not_finite, 1);
}

}  // namespace
}  // namespace pi0
