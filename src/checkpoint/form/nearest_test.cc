#include "checkpoint/form/nearest.h"

#include <gtest/gtest.h>

#include "base/test_support.h"
#include "files/file.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

// Makes `files` in a directory ("a -> b": a link), and expects each of `words` to be said of
// `given` in it; @ stands for the directory.
void expect_said(const std::vector<std::string>& files, const std::string& given,
                 const std::vector<std::string>& words) {
  const TemporaryDirectory directory;
  for (const std::string& file : files) {
    const std::size_t arrow = file.find(" -> ");
    const fs::path path = directory / file.substr(0, arrow);
    fs::create_directories(path.parent_path());
    if (arrow != file.npos) {
      fs::create_symlink(file.substr(arrow + 4), path);
    } else if (!file.ends_with('/'))
      write_file(path, "x");
  }
  const std::string said = nearest_to_checkpoint(directory / given);
  for (std::string word : words) {
    for (std::size_t at; (at = word.find('@')) != word.npos;) {
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

// lerobot-train's outputs/train/DATE/JOB, openpi's checkpoints/CONFIG/EXP/STEP.
TEST(Nearest, RunsAreLookedForFarBelow) {
  const std::string job = "outputs/train/2026-01-01/14-00-00_pi0/checkpoints/";
  const std::vector<std::string> run = {job + "002000/pretrained_model/model.safetensors",
                                        job + "010000/pretrained_model/model.safetensors",
                                        job + "010000/training_state/optimizer_state.safetensors",
                                        job + "last -> 010000"};
  for (const char* given : {"outputs", "outputs/train", "outputs/train/2026-01-01"}) {
    expect_said(run, given, {"; the checkpoint is in @/" + job + "010000/pretrained_model"});
  }
  expect_said({"checkpoints/pi0_libero/exp/1000/model.safetensors",
               "checkpoints/pi0_libero/exp/20000/model.safetensors"},
              "checkpoints", {"; the checkpoint is in @/checkpoints/pi0_libero/exp/20000"});
  expect_said(
      {"checkpoints/pi0_libero/exp/1000/params/x", "checkpoints/pi0_libero/exp/20000/params/x"},
      "checkpoints", {"; @/checkpoints/pi0_libero/exp/20000 is openpi's JAX"});
  expect_said({"a/b/c/d/e/f/g/model.safetensors"}, "a", {"the checkpoint is in @/a/b/c/d/e/f/g"});
  expect_said({"a/b/c/d/e/f/g/h/model.safetensors"}, "a", {});
  expect_said({"src/params/x.json"}, "", {});
}

TEST(Nearest, SeveralCheckpointsAreNamed) {
  expect_said({"one/model.safetensors", "two/10/model.safetensors", "two/9/model.safetensors"}, "",
              {"; the checkpoints @/one and @/two/10 are in it"});
  expect_said({"snapshots/a/model.safetensors", "snapshots/b/model.safetensors",
               "snapshots/c/adapter_model.safetensors", "snapshots/d/model.safetensors"},
              "", {"; the checkpoints @/snapshots/a, @/snapshots/b and 2 more are in it"});
  // A date is no step.
  expect_said({"20260101/x/model.safetensors", "20260102/x/model.safetensors"}, "",
              {"@/20260101/x and @/20260102/x are in it"});
}

TEST(Nearest, LinksAreFollowedButNotInCircles) {
  expect_said({"disk/run/5/model.safetensors", "job/checkpoints -> ../disk/run"}, "job",
              {"; the checkpoint is in @/job/checkpoints/5"});
  expect_said({"job/a/10/model.safetensors", "job/a/z -> ..", "job/a/best -> 10", "job/b -> a",
               "job/up -> ../..", "other/model.safetensors"},
              "job", {"; the checkpoint is in @/job/a/10"});
}

// A copy of the Hugging Face Hub's cache without its blobs; lerobot's last/ without its step.
TEST(Nearest, LinksToNothingAreNamed) {
  expect_said({"model.safetensors -> ../../blobs/x", "config.json"}, "",
              {"; model.safetensors is a link to what is not there", "download it", "cp -L"});
  expect_said({"a.json -> x", "b.json -> x", "config.json -> x", "model.safetensors -> x"}, "",
              {"; a.json, b.json, config.json and 1 more are links to what is not there"});
  expect_said({"checkpoints/last -> 010000"}, "checkpoints/last",
              {"it is a link to 010000, which is not there"});
}

TEST(Nearest, ATrainingsStateIsNoWeights) {
  for (const std::string name :
       {"metadata.pt", "optimizer.pt", "scheduler.bin", "rng_state_0.pth"}) {
    expect_said({name, "config.json"}, "", {"it holds " + name + ", a training's state", "save"});
    expect_said({name}, name, {"a training's state, not weights"});
    expect_said({name, "model.safetensors"}, name, {"the checkpoint is @"});
    expect_said({name, "x.bin"}, "", {"it holds x.bin, pickled PyTorch"});
  }
  expect_said(
      {"2000/metadata.pt", "2000/optimizer.pt", "500/model.safetensors", "1000/model.safetensors"},
      "2000", {"metadata.pt, a training's state, but no weights: take @/1000"});
  expect_said({"training_state/optimizer_state.safetensors", "pretrained_model/model.safetensors"},
              "training_state", {"the checkpoint is in @/pretrained_model"});
}

TEST(Nearest, AFolderWithinOrBesideACheckpointNamesIt) {
  expect_said({"model.safetensors", "assets/droid/"}, "assets", {"the checkpoint is in @"});
  expect_said({"pretrained_model/model.safetensors", "training_state/step.json"}, "training_state",
              {"the checkpoint is in @/pretrained_model"});
}

// A path of one name has no parent.
TEST(Nearest, WhatIsInTheWorkingDirectoryIsNamed) {
  const TemporaryDirectory directory;
  const fs::path before = fs::current_path();
  for (const char* file :
       {"run/2000/optimizer.pt", "run/1000/model.safetensors", "whole/model.safetensors",
        "whole/assets/x", "jax/params/_METADATA", "jax/params/manifest.ocdbt"}) {
    fs::create_directories((directory / file).parent_path());
    write_file(directory / file, "x");
  }
  std::vector<std::string> said;
  for (const auto& [here, given] :
       {std::pair{"run", "2000"}, {"whole", "assets"}, {"jax", "params"}}) {
    fs::current_path(directory / here);
    said.push_back(nearest_to_checkpoint(given));
  }
  fs::current_path(before);
  EXPECT_TRUE(said[0].ends_with("take ./1000")) << said[0];
  EXPECT_EQ(said[1], "; the checkpoint is in .");
  EXPECT_TRUE(said[2].starts_with("; . is openpi's JAX form")) << said[2];
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
