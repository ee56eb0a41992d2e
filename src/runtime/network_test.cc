// What a network does when the files that it was loaded from, or its own numbers, are not in order.
#include "pi0/network.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/test_support.h"
#include "runtime/input_testing.h"
#include "runtime/loaded_network.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.safetensors";

std::vector<float> sample(const Network& network) {
  SampleOptions options;
  options.seed = 3;
  options.steps = 2;
  return network.sample_actions(input_of(network.info()), options);
}

class NetworkOnDevice : public testing::TestWithParam<const char*> {
 protected:
  Network load() const { return load_network(checkpoint.open(), options); }

  const EditableCheckpoint checkpoint{"pi0_tiny"};
  const DeviceOptions options{.device = GetParam()};
};

// What takes the name of the file leaves the network as it is; a file that is shorter or holds
// other bytes is told, before a fault or an action of two checkpoints.
TEST_P(NetworkOnDevice, TellsThatItsFilesWereWrittenTo) {
  const Network network = load();
  const std::vector<float> actions = sample(network);
  const fs::path file = checkpoint / kWeights, copy = checkpoint / "copy";
  fs::copy_file(file, copy);
  fs::rename(copy, file);
  EXPECT_EQ(sample(network), actions);

  const Network other = load();
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(500'000) << 'x';
  expect_error(ErrorCode::kIo, {file.string(), "has been written to"}, [&] { sample(other); });
  EXPECT_EQ(sample(network), actions);

  const Network third = load();
  fs::resize_file(file, 0);
  expect_error(ErrorCode::kIo, {file.string(), "bytes then, 0 now", "open the checkpoint again"},
               [&] { sample(third); });
  EXPECT_EQ(sample(network), actions);
}

TEST_P(NetworkOnDevice, IsNotLoadedFromTwoStatesOfAFile) {
  const fs::path file = checkpoint / kWeights;
  DeviceOptions written = options;
  written.progress = [&](const Progress& progress) {
    if (progress.done != 1) return;
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(500'000) << 'x';
  };
  expect_error(ErrorCode::kIo, {file.string(), "has been written to"},
               [&] { load_network(checkpoint.open(), written); });
}

// It is not the caller's doing: what was given is finite.
TEST_P(NetworkOnDevice, TellsThatItsOwnNumbersOverflow) {
  EditableCheckpoint large("pi0_tiny");
  large.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) {
      if (tensor.name.find("action_out_proj.weight") == std::string::npos) continue;
      std::vector<float> values(tensor.bytes.size() / sizeof(float), 3e38f);
      tensor = float_tensor(tensor.name, tensor.shape, values);
    }
  });
  const Network network = load_network(large.open(), options);
  expect_error(ErrorCode::kNotFinite, {"actions that are not finite", network.device()},
               [&] { sample(network); });
}

INSTANTIATE_TEST_SUITE_P(All, NetworkOnDevice, testing::Values("cpu", "reference", "ttnn-emulated"),
                         [](const auto& device) {
                           std::string name = device.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace pi0
