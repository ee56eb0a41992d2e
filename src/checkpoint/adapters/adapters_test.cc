// Adapters that peft saved (tools/make_adapter_goldens.py), and copies of them that are damaged.
#include "checkpoint/adapters/adapters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "checkpoint/test_support.h"
#include "checkpoint/weights/weight_files.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr auto kUnsupported = ErrorCode::kUnsupported;
constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kTensors = "adapter_model.safetensors";
const fs::path kAdapters = fs::path(PI0_SOURCE_DIR) / "testdata/adapters";

class EditableAdapters : public EditableCheckpoint {
 public:
  explicit EditableAdapters(const std::string& golden = "lerobot_everything",
                            const fs::path& base = kGolden / "pi0_tiny")
      : EditableCheckpoint("../adapters/" + golden) {
    set(kConfig, "/base_model_name_or_path", base.string());
  }
};

// Against peft's own merge; what it did not change is the base's, byte for byte.
void expect_merged(const std::string& golden, const std::string& base, float relative) {
  SCOPED_TRACE(golden);
  const CheckpointData opened = open_checkpoint(kAdapters / golden);
  const CheckpointData whole = open_checkpoint(kGolden / base);
  const SafeTensors file = SafeTensors::open(kAdapters / golden / "merged.safetensors");
  std::map<std::string, const SafeTensor*> merged;
  for (const auto& [name, tensor] : file.tensors()) merged[plain_name(name)] = &tensor;
  std::size_t changed = 0;
  for (const TensorSpec& spec : architecture(opened.model)) {
    if (spec.optional) continue;
    const HostTensor found = opened.weights->tensor(spec.name);
    EXPECT_EQ(found.shape, spec.shape);
    EXPECT_EQ(found.dtype, opened.weights->dtype(spec.name));
    const std::vector<float> values = found.to_floats();
    if (!merged.contains(spec.name)) {
      EXPECT_EQ(values, whole.weights->tensor(spec.name).to_floats()) << spec.name;
      continue;
    }
    ++changed;
    const std::vector<float> expected =
        mapped_tensor(file, spec.name, *merged[spec.name]).to_floats();
    ASSERT_EQ(values.size(), expected.size());
    float largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float allowed = 1e-5f + relative * std::abs(expected[i]);
      largest = std::max(largest, std::abs(values[i] - expected[i]) / allowed);
    }
    EXPECT_LT(largest, 1) << spec.name;
  }
  EXPECT_EQ(changed, merged.size());
}

TEST(Adapters, AreMergedAsPeftDoes) {
  expect_merged("lerobot_default", "pi0_tiny", 0);
  expect_merged("lerobot_everything", "pi0_tiny", 0);
  // peft rounds the sum to the base's bf16; here it stays fp32.
  expect_merged("openpi_bf16", "openpi_pi05", 1.0f / 256);
}

TEST(Adapters, SayWhatTheyAre) {
  const CheckpointData opened = open_checkpoint(kAdapters / "lerobot_everything");
  EXPECT_EQ(opened.directory, kAdapters / "lerobot_everything");
  EXPECT_TRUE(fs::equivalent(opened.base, kGolden / "pi0_tiny"));
  EXPECT_EQ(opened.adapters, "rank 3, alpha 7 (rank-stabilised): 5 tensors changed, 25 whole");
  EXPECT_EQ(opened.family, Family::kLerobot);
  EXPECT_TRUE(opened.has_statistics);  // the base's, and that is said
  ASSERT_EQ(opened.warnings.size(), 1u);
  EXPECT_NE(opened.warnings[0].find("the base's are taken"), std::string::npos);
  std::set<std::string> files;
  for (const auto& file : opened.weight_files) files.insert(file->path().filename().string());
  EXPECT_EQ(files, (std::set<std::string>{"model.safetensors", kTensors, kConfig}));

  const CheckpointData openpi = open_checkpoint(kAdapters / "openpi_bf16");
  EXPECT_EQ(openpi.family, Family::kOpenpi);
  EXPECT_EQ(openpi.dtype, "bf16, f32");
  EXPECT_TRUE(openpi.has_statistics);
}

// The policy's own files go before the base's.
TEST(Adapters, OwnFilesGoFirst) {
  EditableAdapters adapters;
  for (const auto& entry : fs::directory_iterator(kGolden / "pi0_tiny")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("policy_p") || name == "config.json") {
      fs::copy(entry.path(), adapters / name);
    }
  }
  adapters.set("config.json", "/num_inference_steps", 3);
  adapters.set("config.json", "/use_peft", true);
  adapters.set("policy_preprocessor.json", "/steps", Json::array());
  const CheckpointData opened = adapters.open();
  EXPECT_EQ(opened.model.num_steps, 3);
  EXPECT_FALSE(opened.has_statistics);
  EXPECT_TRUE(opened.warnings.empty());
}

TEST(Adapters, FindTheirBase) {
  EditableAdapters adapters;
  const auto expect_base = [&](const fs::path& expected, const CheckpointOverrides& options = {}) {
    EXPECT_TRUE(fs::equivalent(adapters.open(options).base, expected));
  };
  expect_base(kGolden / "pi0_tiny");
  TemporaryDirectory elsewhere;
  fs::copy(kGolden / "pi0_tiny", elsewhere / "copy", fs::copy_options::recursive);
  expect_base(elsewhere / "copy", {.base = elsewhere / "copy"});

  // By its last part, within the adapters' directory.
  adapters.set(kConfig, "/base_model_name_or_path", "/home/somebody/bases/copy/");
  fs::copy(kGolden / "pi0_tiny", adapters / "copy", fs::copy_options::recursive);
  expect_base(adapters / "copy");

  const auto warned = [&] {
    for (const std::string& warning : adapters.open().warnings) {
      if (warning.find("is taken to be " + (adapters / "copy").string()) != warning.npos)
        return true;
    }
    return false;
  };
  EXPECT_TRUE(warned());
  // But not by a name that every training run has: it might be any policy's.
  for (const char* name : {"pretrained_model", "last", "020000"}) {
    fs::copy(kGolden / "pi0_tiny", adapters / name, fs::copy_options::recursive);
    adapters.set(kConfig, "/base_model_name_or_path", std::string("/home/somebody/run/") + name);
    adapters.expect_refused(ErrorCode::kIo, {name, "--base"});
  }
  adapters.set(kConfig, "/base_model_name_or_path", (adapters / "copy").string());
  EXPECT_FALSE(warned());

  // In the hub's cache, at the revision of a branch, or at a commit.
  adapters.set(kConfig, "/base_model_name_or_path", "org/policy");
  ASSERT_EQ(setenv("HF_HUB_CACHE", elsewhere.path().c_str(), 1), 0);
  adapters.expect_refused(ErrorCode::kIo, {"org/policy", "models--org--policy/snapshots/main",
                                           "hf download org/policy", "--base"});
  const fs::path model = elsewhere / "models--org--policy";
  fs::create_directories(model / "refs");
  fs::create_directories(model / "snapshots");
  write_file(model / "refs/main", "0123abc");
  fs::rename(elsewhere / "copy", model / "snapshots/0123abc");
  expect_base(model / "snapshots/0123abc");
  adapters.set(kConfig, "/revision", "0123abc");
  expect_base(model / "snapshots/0123abc");
  adapters.set(kConfig, "/revision", "../snapshots/0123abc");
  adapters.expect_refused(ErrorCode::kIo, {"org/policy"});
  unsetenv("HF_HUB_CACHE");
}

TEST(Adapters, RefuseWhatIsNoBase) {
  EditableAdapters adapters;
  adapters.expect_refused(ErrorCode::kIo, {"adapters itself"}, {.base = adapters.path()});
  TemporaryDirectory empty;
  adapters.expect_refused(ErrorCode::kIo, {"neither model.safetensors"}, {.base = empty.path()});
  adapters.set(kConfig, "/base_model_name_or_path", nullptr);
  adapters.expect_refused(kInvalid, {kConfig, "names no base", "--base"});

  const EditableCheckpoint whole("pi0_tiny");
  whole.expect_refused(ErrorCode::kInvalidInput, {"no adapters"}, {.base = adapters.path()});
}

// Merged already, or the base itself: only the user knows.
TEST(Adapters, WholeWeightsBesideThemAreAskedAbout) {
  EditableAdapters adapters;
  fs::copy(kGolden / "pi0_tiny/model.safetensors", adapters / "model.safetensors");
  fs::copy(kGolden / "pi0_tiny/config.json", adapters / "config.json");
  adapters.expect_refused(kInvalid, {"model.safetensors", "merged", "--base"});
  EXPECT_FALSE(adapters.open({.base = adapters.path()}).adapters.empty());
  for (const char* name : {kConfig, kTensors}) {
    EditableAdapters incomplete;
    fs::remove(incomplete / name);
    incomplete.expect_refused(kInvalid, {std::string("no ") + name});
  }
}

TEST(Adapters, PickledOrUnfetchedOnesAreNamed) {
  EditableAdapters pickled;
  fs::rename(pickled / kTensors, pickled / "adapter_model.bin");
  pickled.expect_refused(kInvalid, {"adapter_model.bin, pickled", "safe_serialization=True"});
  EditableAdapters linked;
  fs::remove(linked / kTensors);
  fs::create_symlink("../../blobs/x", linked / kTensors);
  linked.expect_refused(kInvalid, {"adapter_model.safetensors is a link to what is not there"});
}

TEST(Adapters, EachPlaceOfABaseIsListedOnce) {
  EditableAdapters adapters;
  const std::string own = adapters.path().string();
  for (const std::string& base :
       {std::string("."), std::string("./"), std::string("bases/.."), own, own + "/"}) {
    adapters.set(kConfig, "/base_model_name_or_path", base);
    std::string said;
    try {
      adapters.open();
      FAIL() << "opened";
    } catch (const Error& error) {
      said = error.what();
    }
    const std::string from = "no weights in ";
    std::string list = said.substr(said.find(from) + from.size());
    list.resize(list.find("; download"));
    std::set<std::string> places;
    std::size_t count = 0;
    for (std::size_t begin = 0; begin < list.size(); ++count) {
      const std::size_t end = std::min(list.find(", ", begin), list.size());
      fs::path place = fs::absolute(list.substr(begin, end - begin)).lexically_normal();
      places.insert(place.has_filename() ? place : place.parent_path());
      begin = end + 2;
    }
    EXPECT_EQ(places.size(), count) << said;
  }
}

TEST(Adapters, RefuseConfigurationsThatAreNotBasePlusBA) {
  const std::pair<const char*, Json> wrong[] = {{"peft_type", "LOHA"},
                                                {"use_dora", true},
                                                {"lora_bias", true},
                                                {"fan_in_fan_out", true},
                                                {"layer_replication", {1}},
                                                {"init_lora_weights", "pissa"},
                                                {"loftq_config", {{"a", 1}}},
                                                {"target_parameters", {"x"}},
                                                {"bias", "some"},
                                                {"trainable_token_indices", {3}},
                                                {"something_new", 4},
                                                {"rank_pattern", {{"layers.[0-9]+", 4}}},
                                                {"use_bdlora", {{"a", 1}}},
                                                {"alpha_pattern", {{"(a|b)", 4}}}};
  for (const auto& [key, value] : wrong) {
    EditableAdapters adapters;
    adapters.edit_json(kConfig, [key = key, &value = value](Json& json) { json[key] = value; });
    adapters.expect_refused(kUnsupported, {kConfig, key});
  }
  for (const char* key : {"r", "lora_alpha", "use_rslora", "modules_to_save", "rank_pattern"}) {
    EditableAdapters adapters;
    adapters.set(kConfig, std::string("/") + key, "three");
    adapters.expect_refused(kInvalid, {kConfig, key});
  }
  EditableAdapters adapters;  // what says nothing is no reason
  adapters.set(kConfig, "/something_new", nullptr);
  adapters.set(kConfig, "/init_lora_weights", "gaussian");
  adapters.open();
}

// Python: re.match(rf"(.*\\.)?({pattern})$", module) of each, in peft's get_pattern_key.
TEST(Adapters, PatternsMatchAsInPeft) {
  struct Case {
    const char *pattern, *module;
    bool matches;
  };
  const Case cases[] = {{"k_proj", "model.layers.0.k_proj", true},
                        {"k_proj", "k_proj", true},
                        {"k_proj", "model.layers.0.ak_proj", false},
                        {"k_proj", "model.k_proj.x", false},
                        {"layers.0.k_proj", "model.layers.0.k_proj", true},
                        {"layers.0.k_proj", "model.layers-0-k_proj", true},
                        {"layers\\.0\\.k_proj", "model.layers.0.k_proj", true},
                        {"layers\\.0\\.k_proj", "model.layers-0-k_proj", false},
                        {"^model.k_proj", "model.k_proj", true},
                        {"^model.k_proj", "a.model.k_proj", false},
                        {"a.model.k_proj", "k_proj", false}};
  for (const auto& [pattern, module, matches] : cases) {
    Json json = read_json(kAdapters / "lerobot_default" / kConfig);
    json["rank_pattern"] = {{pattern, 9}};
    json["alpha_pattern"] = {{pattern, 18}};
    const AdapterConfig config = parse_adapter_config(json, kConfig);
    EXPECT_EQ(config.rank_of(module), matches ? 9 : 3) << pattern << " of " << module;
    EXPECT_DOUBLE_EQ(config.scale_of(module), matches ? 2 : 7.0 / 3) << pattern;
  }
}

TEST(Adapters, RefuseTensorsThatDoNotFit) {
  const std::string head = "base_model.model.model.";
  const std::string in = head + "action_in_proj.lora_";
  {
    EditableAdapters adapters;
    adapters.erase_tensor(kTensors, in + "B.weight");
    adapters.expect_refused(kInvalid, {"model.action_in_proj", "lora_A without its lora_B"});
  }
  {
    EditableAdapters adapters;  // the rank of k_proj is another
    adapters.set(kConfig, "/rank_pattern", Json::object());
    adapters.expect_refused(kInvalid, {"[5, 32]", "[32, 5]", "expected [3, in]"});
  }
  {
    EditableAdapters adapters;
    adapters.put_tensor(kTensors, float_tensor(in + "A.weight", {5, 7}, std::vector<float>(35)));
    adapters.expect_refused(kInvalid, {"action_in_proj.weight", "[32, 7]", "expected [32, 32]"});
  }
  {
    EditableAdapters adapters;
    const std::string none = head + "state_in.lora_";
    adapters.put_tensor(kTensors, float_tensor(none + "A.weight", {3, 1}, {1, 2, 3}));
    adapters.put_tensor(kTensors, float_tensor(none + "B.weight", {1, 3}, {1, 2, 3}));
    adapters.expect_refused(kInvalid, {"state_in.weight", "the network has not"});
  }
  {
    EditableAdapters adapters;
    adapters.erase_tensor(kTensors, head + "action_out_proj.weight");
    adapters.expect_refused(kInvalid, {"modules_to_save", "action_out_proj.weight"});
  }
  {
    EditableAdapters adapters;
    adapters.put_tensor(kTensors, float_tensor(head + "action_out_proj.bias", {1}, {1}));
    adapters.expect_refused(kInvalid, {"action_out_proj.bias", "[1]", "expected [32]"});
  }
  for (const char* name : {"embed.lora_embedding_A", "action_in_proj.lora_magnitude_vector",
                           "action_in_proj.lora_B.bias", "state_proj.weight"}) {
    EditableAdapters adapters;
    adapters.put_tensor(kTensors, float_tensor(head + name, {1}, {1}));
    adapters.expect_refused(kUnsupported, {name, "merge the adapters"});
  }
  {
    EditableAdapters adapters;
    adapters.put_tensor(kTensors, {in + "A.weight", "I32", {1}, std::string(4, '\0')});
    adapters.expect_refused(kInvalid, {in + "A.weight", "I32"});
  }
  {
    EditableAdapters adapters("lerobot_default");
    adapters.edit_tensors(kTensors, [](std::vector<EditedTensor>& tensors) { tensors.clear(); });
    adapters.expect_refused(kInvalid, {"changes no tensor"});
  }
}

// As peft 0.13 to 0.18 left them out; they are lost, and the base's stay.
TEST(Adapters, LostBiasesAreWarnedAbout) {
  EXPECT_TRUE(open_checkpoint(kAdapters / "openpi_bf16").warnings.size() ==
              1);  // of the statistics
  EditableAdapters adapters("openpi_bf16", kGolden / "openpi_pi05");
  adapters.edit_tensors(kTensors, [](std::vector<EditedTensor>& tensors) {
    std::erase_if(tensors, [](const auto& tensor) { return tensor.name.ends_with(".bias"); });
  });
  const CheckpointData opened = adapters.open();
  ASSERT_EQ(opened.warnings.size(), 2u);
  for (const char* word : {"lora_only", "time_mlp_in.bias", "the base's stay"}) {
    EXPECT_NE(opened.warnings[1].find(word), std::string::npos) << opened.warnings[1];
  }
}

// As peft warns: of what was trained, some is not there.
TEST(Adapters, ModulesWithoutTheirPairAreWarnedAbout) {
  EditableAdapters adapters("lerobot_default");
  adapters.edit_json(kConfig, [](Json& json) {
    json["target_modules"] = {"action_in_proj"};
    json["exclude_modules"] = nullptr;
  });
  const auto warnings = [&] { return adapters.open().warnings; };
  const std::size_t before = warnings().size();
  for (const char* half : {"A", "B"}) {
    adapters.edit_tensors(kTensors, [&](std::vector<EditedTensor>& tensors) {
      std::erase_if(tensors, [&](const EditedTensor& tensor) {
        return tensor.name.find(std::string("action_in_proj.lora_") + half) != std::string::npos;
      });
    });
  }
  const std::vector<std::string> after = warnings();
  ASSERT_EQ(after.size(), before + 1);
  EXPECT_NE(after.back().find("names modules without adapters"), std::string::npos) << after.back();
  EXPECT_NE(after.back().find("action_in_proj.weight"), std::string::npos) << after.back();
  adapters.set(kConfig, "/exclude_modules", "action_in_proj");
  EXPECT_EQ(warnings().size(), before);
}

// What is found wrong with the adapters is told beside the network, not in its place.
TEST(Adapters, InspectionTellsWhatIsWrong) {
  EditableAdapters adapters;
  adapters.erase_tensor(kTensors, "base_model.model.model.action_in_proj.lora_B.weight");
  const Inspection inspection = inspect_checkpoint(adapters.path());
  EXPECT_EQ(inspection.checkpoint.weights, nullptr);
  EXPECT_EQ(inspection.checkpoint.model.vision.width, 64);
  ASSERT_EQ(inspection.refused.size(), 1u);
  EXPECT_NE(inspection.refused[0].find("without its lora_B"), std::string::npos);
}

}  // namespace
}  // namespace pi0
