// A network of a base and adapters gives the actions of the one that peft merged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/test_support.h"
#include "runtime/loaded_network.h"
#include "runtime/random_input.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

const fs::path kAdapters = fs::path(PI0_SOURCE_DIR) / "testdata/adapters";

// The base with peft's merged tensors in place of its own.
CheckpointData merged_by_peft(EditableCheckpoint& base, const std::string& golden) {
  const SafeTensors merged = SafeTensors::open(kAdapters / golden / "merged.safetensors");
  base.edit_tensors("model.safetensors", [&](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) {
      const SafeTensor* found = merged.find(tensor.name);
      if (!found) continue;
      tensor.bytes.assign(reinterpret_cast<const char*>(found->bytes.data()), found->bytes.size());
    }
  });
  return base.open();
}

std::vector<float> actions(const CheckpointData& checkpoint, const DeviceOptions& options) {
  const NetworkCall call = random_call(checkpoint.model, {}, 7);
  return load_network(checkpoint, options).sample_actions(call.input, call.options);
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST(AdaptersOnADevice, GiveTheActionsOfPeftsMerge) {
  for (const std::string golden : {"lerobot_default", "lerobot_everything"}) {
    EditableCheckpoint whole("pi0_tiny");
    const CheckpointData merged = merged_by_peft(whole, golden);
    const CheckpointData adapted = open_checkpoint(kAdapters / golden);
    const CheckpointData base = open_checkpoint(kGolden / "pi0_tiny");
    for (const char* device : {"reference", "cpu"}) {
      SCOPED_TRACE(golden + " on " + device);
      DeviceOptions options{.device = device};
      if (options.device == "cpu") options.dtype = "fp32";
      const std::vector<float> expected = actions(merged, options);
      EXPECT_LE(largest_difference(actions(adapted, options), expected), 1e-5f);
      EXPECT_GT(largest_difference(actions(base, options), expected), 1e-2f);
    }
  }
}

}  // namespace
}  // namespace pi0
