// The tensors of a checkpoint: names, shards, and what is said of those that are missing or wrong.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "checkpoint/test_support.h"
#include "checkpoint/weights/weight_files.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

TEST(Weights, AreRefusedWhenTheFileIsDamaged) {
  EditableCheckpoint checkpoint("pi0_tiny");
  const auto size = fs::file_size(checkpoint / kWeights);
  fs::resize_file(checkpoint / kWeights, size - 1);
  checkpoint.expect_refused(kInvalid, {kWeights, "truncated"});
  fs::resize_file(checkpoint / kWeights, size + 1);
  checkpoint.expect_refused(kInvalid, {kWeights, "oversized"});
  fs::resize_file(checkpoint / kWeights, 0);
  checkpoint.expect_refused(kInvalid, {kWeights, "truncated"});
}

TEST(Weights, AreMissing) {
  EditableCheckpoint checkpoint("pi0_tiny");
  fs::remove(checkpoint / kWeights);
  checkpoint.expect_refused(kInvalid, {checkpoint.path().string(), "neither", kWeights, kIndex});
  fs::create_directories(checkpoint / "checkpoints/last/pretrained_model");
  write_file(checkpoint / "checkpoints/last/pretrained_model/model.safetensors", "");
  checkpoint.expect_refused(
      kInvalid,
      {"the checkpoint is in " + (checkpoint / "checkpoints/last/pretrained_model").string()});
}

TEST(Weights, AdaptersAmongThemAreRefused) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.put_tensor(kWeights, float_tensor("action_in_proj.lora_A.default.weight", {1}, {1}));
  checkpoint.expect_refused(ErrorCode::kUnsupported,
                            {kWeights, "action_in_proj.lora_A.default.weight", "peft"});
}

TEST(Weights, AllMissingAndWrongTensorsAreNamedAtOnce) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    std::erase_if(tensors, [](const EditedTensor& tensor) {
      return tensor.name == "model.state_proj.weight" || tensor.name == "model.action_in_proj.bias";
    });
    for (EditedTensor& tensor : tensors) {
      if (tensor.name == "model.action_time_mlp_out.weight") tensor.shape = {1024};
      if (tensor.name == "model.action_time_mlp_in.weight") tensor.dtype = "I32";
    }
  });
  checkpoint.expect_refused(
      kInvalid,
      {kWeights, "4 tensors", "state_proj.weight is missing", "action_in_proj.bias is missing",
       "model.action_time_mlp_out.weight has shape [1024], expected [32, 32]",
       "model.action_time_mlp_in.weight is of type I32, expected F32, F16 or BF16"});

  const Inspection inspection = inspect_checkpoint(checkpoint.path());
  EXPECT_EQ(inspection.checkpoint.weights, nullptr);
  EXPECT_EQ(inspection.tensors.missing,
            (std::vector<std::string>{"action_in_proj.bias", "state_proj.weight"}));
  EXPECT_EQ(inspection.tensors.wrong.size(), 2u);
  EXPECT_EQ(inspection.checkpoint.state_dims, 14);
}

TEST(Weights, WhatATensorIsCalledInsteadIsSaid) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) {
      if (tensor.name == "model.state_proj.weight") tensor.name = "model.state_projection.kernel";
    }
  });
  checkpoint.expect_refused(kInvalid, {"state_proj.weight is missing; not of this network are",
                                       "model.state_projection.kernel"});
}

// What every good checkpoint has beside the network is not what a missing tensor is called.
TEST(Weights, WhatNothingComputesWithIsNotNamedInstead) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.erase_tensor(kWeights, "model.state_proj.weight");
  const Inspection inspection = inspect_checkpoint(checkpoint.path());
  EXPECT_EQ(inspection.tensors.unused.size(), 2u);  // the expert's head, the prefix's last norm
  EXPECT_TRUE(inspection.tensors.unknown.empty());
  ASSERT_EQ(inspection.refused.size(), 1u);
  EXPECT_TRUE(inspection.refused[0].ends_with("state_proj.weight is missing"))
      << inspection.refused[0];
  // Of lerobot's published files: both of the tied pair, under names of torch.compile.
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    tensors.push_back(float_tensor("model." + std::string(kEmbedTokens), {512, 64},
                                   std::vector<float>(512 * 64)));
    for (EditedTensor& tensor : tensors) tensor.name.replace(0, 6, "model._orig_mod.");
  });
  EXPECT_TRUE(inspect_checkpoint(checkpoint.path()).tensors.unknown.empty());
}

TEST(Weights, ALongListOfMissingTensorsIsCut) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    std::erase_if(tensors, [](const EditedTensor& tensor) {
      return tensor.name.find("vision_tower") != std::string::npos;
    });
  });
  // 3 embeddings, 2 layers of 16, 2 of the last norm.
  checkpoint.expect_refused(kInvalid, {"37 tensors", "and 17 more"});
}

TEST(Weights, EveryRequiredTensorIsLookedFor) {
  EditableCheckpoint checkpoint("pi05_tiny");
  const std::size_t in_file = SafeTensors::open(checkpoint / kWeights).tensors().size();
  // All but gemma_expert.lm_head and the prefix's final norm.
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) { tensors.clear(); });
  const Inspection inspection = inspect_checkpoint(checkpoint.path());
  EXPECT_EQ(inspection.tensors.missing.size(), in_file - 2);
  EXPECT_EQ(inspection.tensors.parameters, 0);
}

TEST(Weights, UnusedTensorsMayBeMissingOrOdd) {
  EditableCheckpoint checkpoint("pi0_tiny");
  const std::string head = "model.paligemma_with_expert.gemma_expert.lm_head.weight";
  checkpoint.erase_tensor(kWeights,
                          "model.paligemma_with_expert.paligemma.model.language_model.norm.weight");
  checkpoint.put_tensor(kWeights, {head, "I64", {1}, std::string(8, '\0')});
  checkpoint.put_tensor(kWeights, float_tensor("model.something_else", {1}, {1}));
  const Inspection inspection = inspect_checkpoint(checkpoint.path());
  EXPECT_NE(inspection.checkpoint.weights, nullptr);
  EXPECT_EQ(inspection.checkpoint.dtype, "f32");
  EXPECT_EQ(inspection.tensors.unused, (std::vector<std::string>{head, "model.something_else"}));
}

// The embedding's rows of a file that has only one of the tied pair, to be told apart from others.
constexpr const char* kHeadOfFile = "model.paligemma_with_expert.paligemma.lm_head.weight";
constexpr const char* kTokensOfFile =
    "model.paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight";

TEST(Weights, EmbedTokensGoesBeforeItsTiedTwin) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.put_tensor(
      kWeights, float_tensor(kTokensOfFile, {512, 64}, std::vector<float>(512 * 64, 0.25f)));
  const HostTensor both = checkpoint.open().weights->tensor(std::string(kEmbedTokens));
  EXPECT_EQ(both.to_floats()[5], 0.25f);
  checkpoint.put_tensor(kWeights,
                        float_tensor(kHeadOfFile, {512, 64}, std::vector<float>(512 * 64, 0.5f)));
  checkpoint.erase_tensor(kWeights, kTokensOfFile);
  const HostTensor head = checkpoint.open().weights->tensor(std::string(kEmbedTokens));
  EXPECT_EQ(head.to_floats()[5], 0.5f);
  checkpoint.erase_tensor(kWeights, kHeadOfFile);
  checkpoint.expect_refused(kInvalid,
                            {"a tensor of the network", "embed_tokens.weight is missing"});
}

TEST(Weights, VocabularyIsReadFromTheEmbeddingWhereTheFileDoesNotSayIt) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_json("config.json", [](Json& json) { json["architecture"].erase("vocab_size"); });
  EXPECT_EQ(checkpoint.open().model.vocab_size, 512);
  checkpoint.erase_tensor(kWeights, kHeadOfFile);
  EXPECT_EQ(inspect_checkpoint(checkpoint.path()).checkpoint.model.vocab_size, 257152);
}

TEST(Weights, NamesWithAndWithoutPrefixAreTheSameTensor) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_tensors(kWeights, [](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) tensor.name = tensor.name.substr(6);
  });
  EXPECT_NO_THROW(checkpoint.open());
  checkpoint.put_tensor(kWeights,
                        float_tensor("model.state_proj.bias", {32}, std::vector<float>(32)));
  checkpoint.expect_refused(kInvalid, {"state_proj.bias is there twice", "as model.state_proj.bias",
                                       "as state_proj.bias"});
}

TEST(Weights, NamesOfWrappedModulesAreTheSameTensor) {
  for (const char* to :
       {"model._orig_mod.", "_orig_mod.model.", "module.model.", "model.module."}) {
    EditableCheckpoint checkpoint("pi0_tiny");
    checkpoint.edit_tensors(kWeights, [&](std::vector<EditedTensor>& tensors) {
      for (EditedTensor& tensor : tensors) {
        if (tensor.name.starts_with("model.")) tensor.name.replace(0, 6, to);
      }
    });
    EXPECT_NO_THROW(checkpoint.open()) << to;
  }
  EditableCheckpoint inner("pi0_tiny");  // one layer of it was wrapped
  inner.edit_tensors(kWeights, [&](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) {
      const std::size_t at = tensor.name.find("layers.1.");
      if (at != std::string::npos) tensor.name.insert(at + 9, "_orig_mod.");
    }
  });
  EXPECT_NO_THROW(inner.open());
}

// Until transformers 4.52, and so until some 0.3 of lerobot, whose statistics are there as well.
TEST(Weights, FormerNamesOfPaligemmaAreRead) {
  EditableCheckpoint checkpoint("pi0_tiny");
  const CheckpointData before = checkpoint.open();
  int renamed = 0;
  checkpoint.edit_tensors(kWeights, [&](std::vector<EditedTensor>& tensors) {
    for (EditedTensor& tensor : tensors) {
      for (const auto& [now, then] :
           {std::pair{"paligemma.model.language_model.", "paligemma.language_model.model."},
            {"paligemma.lm_head.", "paligemma.language_model.lm_head."},
            {"paligemma.model.", "paligemma."}}) {
        const std::size_t at = tensor.name.find(now);
        if (at == std::string::npos) continue;
        tensor.name.replace(at, std::string_view(now).size(), then);
        ++renamed;
        break;
      }
    }
    tensors.push_back(float_tensor("normalize_inputs.buffer_observation_state.mean", {1}, {0}));
  });
  EXPECT_GT(renamed, 30);
  const CheckpointData after = checkpoint.open();
  for (const TensorSpec& spec : architecture(before.model)) {
    if (spec.optional) continue;
    const HostTensor expected = before.weights->tensor(spec.name);
    const HostTensor found = after.weights->tensor(spec.name);
    EXPECT_EQ(found.shape, expected.shape);
    EXPECT_EQ(found.to_floats(), expected.to_floats()) << spec.name;
  }
  EXPECT_EQ(inspect_checkpoint(checkpoint.path()).tensors.unused.size(),
            inspect_checkpoint(kGolden / "pi0_tiny").tensors.unused.size());
}

TEST(Weights, HalfPrecisionIsTaken) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.put_tensor(kWeights, {"model.state_proj.bias", "F16", {32}, [] {
                                     std::string bytes;
                                     for (int i = 0; i < 32; ++i) bytes += std::string("\0\x3e", 2);
                                     return bytes;
                                   }()});
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.dtype, "f16, f32");
  EXPECT_EQ(opened.weights->tensor("state_proj.bias").to_floats()[31], 1.5f);
}

TEST(Shards, AbsentOnesAreNamed) {
  EditableCheckpoint checkpoint("pi0_odd");
  fs::remove(checkpoint / "model-00002-of-00003.safetensors");
  checkpoint.expect_refused(kInvalid, {kIndex, "absent", "model-00002-of-00003.safetensors"});
}

TEST(Shards, AreLinksToNothing) {
  EditableCheckpoint checkpoint("pi0_odd");
  const fs::path shard = checkpoint / "model-00002-of-00003.safetensors";
  fs::remove(shard);
  fs::create_symlink("../../blobs/x", shard);
  checkpoint.expect_refused(kInvalid,
                            {kIndex, "absent", "is a link to what is not there", "cp -L"});
}

TEST(Shards, MustHoldWhatTheIndexSays) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kIndex, "/weight_map/model.action_in_proj.bias",
                 "model-00002-of-00003.safetensors");
  checkpoint.expect_refused(kInvalid, {kIndex, "model-00002-of-00003.safetensors holds",
                                       "model.action_in_proj.bias", "does not"});
}

TEST(Shards, MustLieBesideTheIndex) {
  const fs::path other = kGolden / "pi0_odd/model-00001-of-00003.safetensors";
  for (const std::string& name :
       {std::string("../model-00001-of-00003.safetensors"), std::string("a/../../b"),
        other.string(), std::string(), std::string("."), std::string("folder/")}) {
    EditableCheckpoint checkpoint("pi0_odd");
    checkpoint.set(kIndex, "/weight_map/model.action_in_proj.bias", name);
    if (name == ".") {
      checkpoint.expect_refused(ErrorCode::kIo, {"is a directory"});
    } else {
      checkpoint.expect_refused(kInvalid, {kIndex, "weight_map", "names no file"});
    }
  }
}

TEST(Shards, IndexMustBeOfItsForm) {
  EditableCheckpoint checkpoint("pi0_odd");
  write_file(checkpoint / kIndex, "{}");
  checkpoint.expect_refused(kInvalid, {kIndex, "\"weight_map\" is missing"});
  write_file(checkpoint / kIndex, R"({"weight_map": {"a": 3}})");
  checkpoint.expect_refused(kInvalid, {kIndex, "\"a\" is 3", "name of a file"});
  write_file(checkpoint / kIndex, R"({"weight_map": {}})");
  checkpoint.expect_refused(kInvalid, {kIndex, "names no tensor"});
  write_file(checkpoint / kIndex, R"({"weight_map": []})");
  checkpoint.expect_refused(kInvalid, {kIndex, "an array", "an object"});
  write_file(checkpoint / kIndex, "{");
  checkpoint.expect_refused(kInvalid, {kIndex, "no JSON"});
}

TEST(Shards, ATensorInTwoOfThemIsRefused) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.put_tensor("model-00003-of-00003.safetensors",
                        float_tensor("model.action_in_proj.bias", {40}, std::vector<float>(40)));
  checkpoint.expect_refused(
      kInvalid, {kIndex, "action_in_proj.bias is there twice", "model-00001-of-00003.safetensors",
                 "model-00003-of-00003.safetensors"});
}

// ---- A network of full size, whose data is a hole in the file ----

// Writes a header for all tensors of the architecture in bf16, and makes the file as long as their
// data, without any. False when the file system does not do that.
bool write_sparse(const fs::path& path, const ModelConfig& model) {
  Json header = Json::object();
  std::uint64_t offset = 0;
  const auto add = [&](const std::string& name, const Shape& shape) {
    const std::uint64_t end = offset + 2 * static_cast<std::uint64_t>(element_count(shape));
    header["model." + name] = {
        {"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  };
  for (const TensorSpec& spec : architecture(model)) {
    if (!spec.optional) add(spec.name, spec.shape);
  }
  add("paligemma_with_expert.gemma_expert.lm_head.weight", {257152, 1024});
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t size = text.size();
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file << text;
    if (!file.flush()) return false;
  }
  std::error_code error;
  fs::resize_file(path, sizeof size + size + offset, error);
  struct stat status;
  return !error && ::stat(path.c_str(), &status) == 0 && status.st_blocks * 512 < (8 << 20);
}

// Bytes of this process in memory that come from mapped files.
std::int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoll(line.substr(8)) * 1024;
  }
  return -1;
}

TEST(FullSize, IsInspectedWithoutReadingItsWeights) {
  const TemporaryDirectory directory;
  const Json config = {
      {"type", "pi0"},
      {"input_features",
       {{"observation.images.top", {{"type", "VISUAL"}, {"shape", {3, 224, 224}}}}}},
  };
  write_file(directory / "config.json", config.dump());
  if (!write_sparse(directory / kWeights, ModelConfig())) {
    GTEST_SKIP() << "NOT TESTED: the file system of " << directory.path()
                 << " makes no sparse file of 7 GB";
  }
  ASSERT_GT(fs::file_size(directory / kWeights), 6'500'000'000u);

  const std::int64_t resident_before = resident_file_bytes();
  const auto begin = std::chrono::steady_clock::now();
  const Inspection inspection = inspect_checkpoint(directory.path());
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  const std::int64_t resident = resident_file_bytes() - resident_before;

  EXPECT_TRUE(inspection.tensors.missing.empty());
  EXPECT_TRUE(inspection.tensors.wrong.empty());
  EXPECT_NE(inspection.checkpoint.weights, nullptr);
  EXPECT_EQ(inspection.checkpoint.model.vocab_size, 257152);
  // 3.23 billion (model.md), and 6.5 GB in bf16; with the expert's unused head 7.0.
  EXPECT_GT(inspection.tensors.parameters, 3'220'000'000);
  EXPECT_LT(inspection.tensors.parameters, 3'240'000'000);
  EXPECT_GT(inspection.tensors.bytes, 6'900'000'000);
  EXPECT_LT(resident, 4 << 20) << "tensors were read";
  // Milliseconds; the limit leaves room for a sanitizer's build on a busy machine.
  EXPECT_LT(elapsed, std::chrono::seconds(2));
}

}  // namespace
}  // namespace pi0
