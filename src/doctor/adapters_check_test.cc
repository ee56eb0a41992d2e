#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "doctor/doctor.h"
#include "doctor/doctor_testing.h"

namespace pi0 {
namespace {

constexpr const char* kTensors = "adapter_model.safetensors";

// peft's adapters of pi0_tiny.
class AdaptersCheckTest : public testing::Test {
 protected:
  AdaptersCheckTest() {
    checkpoint.set("adapter_config.json", "/base_model_name_or_path",
                   (kGolden / "pi0_tiny").string());
  }
  // Sets the values of B to 0, as peft begins it, in the first `most` layers.
  void zero(std::size_t most) {
    checkpoint.edit_tensors(kTensors, [&](std::vector<EditedTensor>& tensors) {
      for (EditedTensor& tensor : tensors) {
        if (tensor.name.find("lora_B") == std::string::npos || most == 0) continue;
        tensor.bytes.assign(tensor.bytes.size(), '\0');
        --most;
      }
    });
  }
  Findings findings() const { return adapter_findings(checkpoint.open()); }

  EditableCheckpoint checkpoint{"../adapters/lerobot_default"};
};

TEST_F(AdaptersCheckTest, TrainedOnesAreInOrder) {
  expect_no_findings(findings());
  zero(3);  // layers that had no part in the training
  expect_no_findings(findings());
}

TEST_F(AdaptersCheckTest, AsTheyBegin) {
  zero(1000);
  expect_finding(findings(), Severity::kRefuse, {"adapters", "lora_B", "0 in all 11 layers"});
  expect_finding(examine(checkpoint.path(), {}, {.device = "reference"}), Severity::kRefuse,
                 {"adapters", "0 in all 11 layers"});
}

TEST_F(AdaptersCheckTest, OfNoScale) {
  checkpoint.set("adapter_config.json", "/lora_alpha", 0);
  expect_finding(findings(), Severity::kRefuse, {"adapters", "scale", "0 in all 11 layers"});
}

TEST(AdaptersInPlaceTest, AreInOrder) {
  EditableCheckpoint checkpoint("../adapters/lerobot_everything");
  checkpoint.set("adapter_config.json", "/base_model_name_or_path",
                 (kGolden / "pi0_tiny").string());
  expect_no_findings(adapter_findings(checkpoint.open()));
}

}  // namespace
}  // namespace pi0
