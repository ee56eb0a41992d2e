#include "checkpoint/form/nearest.h"

#include <gtest/gtest.h>

#include "base/test_support.h"
#include "files/file.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

// Makes `files` in a directory, and expects each of `words` to be said of `given` in it; @ stands
// for the directory.
void expect_said(const std::vector<std::string>& files, const std::string& given,
                 const std::vector<std::string>& words) {
  const TemporaryDirectory directory;
  for (const std::string& file : files) {
    const fs::path path = directory / file;
    fs::create_directories(path.parent_path());
    if (!file.ends_with('/')) write_file(path, "x");
  }
  const std::string said = nearest_to_checkpoint(directory / given);
  for (std::string word : words) {
    if (const std::size_t at = word.find('@'); at != word.npos) {
      word.replace(at, 1, directory.path().string());
    }
    EXPECT_NE(said.find(word), said.npos) << said << "\n  lacks " << word;
  }
  if (words.empty()) {
    EXPECT_EQ(said, "");
  }
}

TEST(Nearest, AFolderAboveACheckpointNamesTheLatestWithin) {
  const char* weights = "/model.safetensors";
  for (const std::string within : {"pretrained_model", "checkpoints/last/pretrained_model",
                                   "last/pretrained_model", "checkpoints/020000/pretrained_model",
                                   "020000/pretrained_model", "snapshots/0123abc", "29999"}) {
    expect_said({"run/" + within + weights}, "run", {"the checkpoint is in @/run/" + within});
    expect_said({"run/" + within + weights}, "run/", {"the checkpoint is in @/run/" + within});
  }
  expect_said({"checkpoints/9000/pretrained_model/model.safetensors",
               "checkpoints/020000/pretrained_model/model.safetensors.index.json",
               "checkpoints/010000/pretrained_model/model.safetensors"},
              "", {"@/checkpoints/020000/pretrained_model"});
  expect_said({"checkpoints/last/pretrained_model/adapter_model.safetensors"}, "",
              {"@/checkpoints/last/pretrained_model"});
}

TEST(Nearest, AFolderWithinOrBesideACheckpointNamesIt) {
  expect_said({"model.safetensors", "assets/droid/"}, "assets", {"the checkpoint is in @"});
  expect_said({"pretrained_model/model.safetensors", "training_state/step.json"}, "training_state",
              {"the checkpoint is in @/pretrained_model"});
}

TEST(Nearest, OpenpisJaxFormIsToBeConverted) {
  expect_said({"params/_METADATA", "assets/x"}, "", {"JAX", "convert_jax_model_to_pytorch.py"});
  expect_said({"params/_METADATA", "params/manifest.ocdbt"}, "params",
              {"; @ is openpi's JAX form"});
  expect_said({"5000/params/x", "29999/params/x", "wandb_id.txt"}, "",
              {"; @/29999 is openpi's JAX"});
}

TEST(Nearest, WeightsInAnotherFormAreNamed) {
  const std::pair<const char*, const char*> forms[] = {
      {"pi0-q4.gguf", "llama.cpp"},      {"policy.onnx", "exported graph"},
      {"pytorch_model.bin", "pickled"},  {"policy.pt", "save_pretrained"},
      {"policy.pth", "save_pretrained"}, {"epoch=3.ckpt", "Lightning"},
      {"flax_model.msgpack", "Flax"},    {"pi0.tar", "unpack"},
      {"pi0.engine", "TensorRT"},        {"pi0.zip", "unpack"}};
  for (const auto& [name, what] : forms) {
    expect_said({name, "config.json"}, "", {name, what, "not read here"});
    expect_said({name}, name, {what, "not read here"});
  }
  expect_said({"global_step100/x", "zero_to_fp32.py"}, "", {"global_step100", "DeepSpeed"});
}

TEST(Nearest, SafetensorsOfOtherNamesAreNamed) {
  expect_said({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}, "",
              {"model-00001-of-00002.safetensors, 2 of several", "model.safetensors.index.json"});
  expect_said({"policy.safetensors", "config.json"}, "",
              {"policy.safetensors", "name it model.safetensors"});
  expect_said({"config.json", "policy_preprocessor.json",
               "policy_preprocessor_step_5_normalizer_processor.safetensors"},
              "", {"it holds config.json, but no weights"});
}

TEST(Nearest, AFileOfACheckpointNamesItsFolder) {
  expect_said({"model.safetensors", "config.json"}, "config.json", {"the checkpoint is @"});
  expect_said({"model.safetensors"}, "absent.json", {"the checkpoint is @"});
}

TEST(Nearest, NothingIsSaidOfNothing) {
  expect_said({"empty/"}, "empty", {"it is empty"});
  expect_said({"x/photo.png"}, "x", {});
  expect_said({}, "absent", {});
}

}  // namespace
}  // namespace pi0
