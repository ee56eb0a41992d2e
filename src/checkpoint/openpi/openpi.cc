#include "checkpoint/openpi/openpi.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "checkpoint/form/pi0_json.h"
#include "checkpoint/form/prompt_format.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"
#include "checkpoint/form/statistics.h"
#include "checkpoint/openpi/config.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEmbeddings =
    "paligemma_with_expert.paligemma.model.vision_tower.vision_model.embeddings.";
constexpr int kMaxAssetDepth = 8;  // folders within assets/; an id has two at most

// Dimension `index` of a tensor of `rank` dimensions, if there is such a tensor and it is sane.
std::optional<int> dimension(const WeightFiles& files, const std::string& name, std::size_t rank,
                             std::size_t index) {
  const WeightFiles::Located* found = files.find(name);
  if (!found || found->tensor->shape.size() != rank) return std::nullopt;
  const std::int64_t dim = found->tensor->shape[index];
  if (dim < 1 || dim > kMaxSize) return std::nullopt;
  return static_cast<int>(dim);
}

ModelKind read_kind(const WeightFiles& files) {
  const bool pi0 = files.find("state_proj.weight") != nullptr;
  const bool pi05 = files.find("time_mlp_in.weight") != nullptr;
  if (pi0 == pi05) {
    fail(files.where(),
         fmt::format("holds {} state_proj.weight (of pi0) {} time_mlp_in.weight (of pi05), so it "
                     "does not say which of the two it is{}",
                     pi0 ? "both" : "neither", pi0 ? "and" : "nor",
                     pi0 ? "" : "; a checkpoint of lerobot has a \"type\" in its config.json"));
  }
  return pi0 ? ModelKind::kPi0 : ModelKind::kPi05;
}

// Image size from the learned positions: a row for each patch of a square image. Left as it is
// when there is no such tensor, which is then reported as missing.
void read_image_size(const WeightFiles& files, ModelConfig& model) {
  const auto patches =
      dimension(files, std::string(kEmbeddings) + "position_embedding.weight", 2, 0);
  if (!patches) return;
  const int side = static_cast<int>(std::lround(std::sqrt(*patches)));
  if (side * side != *patches) {
    fail(files.where(),
         fmt::format("{}position_embedding.weight has {} rows, expected a square number",
                     kEmbeddings, *patches));
  }
  const std::int64_t size = std::int64_t{side} * model.vision.patch_size;
  model.image_size = static_cast<int>(std::min<std::int64_t>(size, kMaxSize + 1));
}

void find_assets(const fs::path& folder, const std::string& id, int depth,
                 std::map<std::string, fs::path>& found) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->is_directory(error)) continue;
    const std::string name = id + (id.empty() ? "" : "/") + at->path().filename().string();
    const fs::path statistics = at->path() / "norm_stats.json";
    if (fs::exists(statistics, error)) found[name] = statistics;
    if (depth < kMaxAssetDepth) find_assets(at->path(), name, depth + 1, found);
  }
}

// What norm_stats.json there is in one place, by id; "." for one in the folder itself.
std::map<std::string, fs::path> assets_in(const fs::path& folder) {
  std::map<std::string, fs::path> found;
  find_assets(folder, "", 1, found);
  std::error_code ignored;
  const fs::path at_top = folder / "norm_stats.json";
  if (fs::exists(at_top, ignored)) found["."] = at_top;
  return found;
}

// Where statistics may be, one after another: openpi's converter copies assets/ from beside the
// weights of the JAX form; RLinf leaves statistics among the weights.
std::vector<fs::path> asset_places(const Places& places) {
  std::vector<fs::path> folders{places.directory / "assets", places.directory};
  if (!places.base.empty()) folders.insert(folders.end(), {places.base / "assets", places.base});
  std::error_code ignored;
  fs::path own = fs::absolute(places.directory, ignored).lexically_normal();
  if (!own.has_filename()) own = own.parent_path();
  folders.push_back(own.parent_path() / "assets");
  return folders;
}

// The asset to take, as (id, norm_stats.json); nullopt when there is none and none was asked for.
std::optional<std::pair<std::string, fs::path>> choose_asset(
    const Places& places, const std::optional<std::string>& asked,
    std::vector<std::string>& warnings) {
  std::map<std::string, fs::path> found;
  const fs::path expected = places.directory / "assets";
  bool elsewhere = false;
  for (const fs::path& folder : asset_places(places)) {
    if (!found.empty()) break;
    found = assets_in(folder);
    elsewhere = folder != expected;
  }
  std::vector<std::string> ids;
  ids.reserve(found.size());
  for (const auto& [id, path] : found) ids.push_back(id);
  const std::string where = expected.string();
  if (asked) {
    const auto chosen = found.find(*asked);
    if (chosen == found.end()) {
      fail(where,
           fmt::format("there is no {}/norm_stats.json, {}", *asked,
                       ids.empty() ? "nor that of another asset" : "only that of " + list_of(ids)));
    }
    return *chosen;
  }
  if (found.size() > 1) {
    fail(where, "there are several assets, choose one by --asset or in pi0.json: " + list_of(ids));
  }
  if (found.empty()) return std::nullopt;
  if (elsewhere) {
    warnings.push_back(where +
                       ": no norm_stats.json, so the one that there is elsewhere is taken: " +
                       found.begin()->second.string());
  }
  return *found.begin();
}

void take_statistics(const Json& json, const std::string& where, CheckpointData& checkpoint) {
  OpenpiStatistics statistics =
      parse_norm_stats(json, where, checkpoint.model.kind == ModelKind::kPi05, checkpoint.warnings);
  checkpoint.state = std::move(statistics.state);
  checkpoint.action = std::move(statistics.action);
  checkpoint.has_statistics = true;
}

void find_statistics(const Places& places, const std::optional<std::string>& asset,
                     CheckpointData& checkpoint) {
  const auto chosen = choose_asset(places, asset, checkpoint.warnings);
  if (!chosen) {
    checkpoint.statistics_missing =
        (places.directory / "assets").string() +
        ": no ID/norm_stats.json, nor one in another folder of the checkpoint or in an assets/ "
        "beside it (--norm-stats names a file)";
    return;
  }
  checkpoint.asset = chosen->first;
  take_statistics(read_json(chosen->second), chosen->second.string(), checkpoint);
}

// How many values the robot's own state has. Statistics may be padded to the network's width, as
// the data was (all zeros) or by openpi's pad_to_dim (mean 0, std 1).
int state_dims(const Normalization& state, const ModelConfig& model) {
  const auto pads = [&](std::size_t i) {
    if (state.first[i] != 0) return false;
    const bool by_openpi = state.mode == NormalizationMode::kMeanStd && state.second[i] == 1;
    return state.second[i] == 0 || by_openpi;
  };
  std::size_t dims = state.first.size();
  while (dims > 0 && pads(dims - 1)) --dims;
  return static_cast<int>(std::min(dims, static_cast<std::size_t>(model.state_dim)));
}

// The length of statistics, at most the network's width.
int dims_of(const Normalization& normalization, const ModelConfig& model) {
  return static_cast<int>(
      std::min(normalization.first.size(), static_cast<std::size_t>(model.action_dim)));
}

// Who asks for something: the caller's options, or pi0.json.
struct Source {
  Source(bool is_option, const Places& places)
      : where((is_option ? places.directory : places / "pi0.json").string()),
        code(is_option ? ErrorCode::kInvalidInput : ErrorCode::kInvalidCheckpoint) {}
  std::string where;
  ErrorCode code;
};

void read_action_dims(const std::optional<int>& asked, const Source& source,
                      CheckpointData& checkpoint) {
  const ModelConfig& model = checkpoint.model;
  if (!asked) {
    checkpoint.action_dims =
        checkpoint.has_statistics ? dims_of(checkpoint.action, model) : model.action_dim;
    return;
  }
  if (*asked < 1 || *asked > model.action_dim) {
    fail(source.where,
         fmt::format("the number of action dims is {}, expected 1 to {}, the width of the "
                     "network's actions",
                     *asked, model.action_dim),
         source.code);
  }
  checkpoint.action_dims = *asked;
}

void read_delta_mask(const std::optional<std::string>& asked, const Source& source,
                     CheckpointData& checkpoint) {
  if (!asked) return;
  std::vector<bool> mask = parse_delta_mask(*asked, source.where, source.code);
  const auto width = static_cast<std::size_t>(checkpoint.model.action_dim);
  if (mask.size() > width) {
    fail(source.where,
         fmt::format("the delta mask {} has {} dimensions, but actions have {}", *asked,
                     mask.size(), width),
         source.code);
  }
  // openpi makes the padded actions absolute, and cuts them after.
  const auto dims = static_cast<std::size_t>(checkpoint.action_dims);
  mask.resize(std::min(mask.size(), dims));
  checkpoint.relative_actions = std::move(mask);
}

// config.json, or what openpi's training in PyTorch leaves, which has none; then the horizon is
// what the caller says, since no tensor does.
void read_config(const Places& places, const std::optional<int>& horizon, const Source& source,
                 ModelConfig& model, std::vector<std::string>& warnings) {
  const std::string name = (places / "config.json").string();
  std::error_code ignored;
  const bool there = fs::exists(name, ignored);
  const Json config = there ? read_json(name) : Json::object();
  parse_openpi_config(config, name, model);
  if (const auto adapted = lora_variants(config, name); !adapted.empty()) {
    warnings.push_back(
        fmt::format("{}: trained as {}: openpi's converter leaves adapters out, so what the "
                    "weights hold of that training is what was merged into them before",
                    name, list_of(adapted)));
  }
  if (horizon) {
    if (*horizon < 1 || *horizon > kMaxSize) {
      fail(source.where,
           fmt::format("the action horizon is {}, expected 1 to {}", *horizon, kMaxSize),
           source.code);
    }
    model.action_horizon = *horizon;
  } else if (!config.contains("action_horizon")) {
    warnings.push_back(
        fmt::format("{}{}: {} steps are assumed; --action-horizon or pi0.json can say it", name,
                    there ? " has no \"action_horizon\"" : " is absent", model.action_horizon));
  }
}

void require_aloha(const Source& source, const CheckpointData& checkpoint) {
  const auto statistics = static_cast<int>(checkpoint.action.first.size());
  const int dims = checkpoint.has_statistics ? std::min(statistics, checkpoint.action_dims)
                                             : checkpoint.action_dims;
  if (dims != kAlohaDims) {
    fail(source.where,
         fmt::format("adapt_to_pi is of ALOHA's {} dimensions, but actions have {}", kAlohaDims,
                     dims),
         source.code);
  }
}

// No file of a checkpoint says it; unless it is given, as openpi's models/pi0_config.py has it.
int max_tokens(ModelKind kind, const std::optional<int>& asked, const Source& source) {
  if (!asked) return kind == ModelKind::kPi05 ? 200 : 48;
  if (*asked < 1 || *asked > kMaxSize) {
    fail(source.where,
         fmt::format("the longest prompt (max_token_len) is {}, expected 1 to {} tokens", *asked,
                     kMaxSize),
         source.code);
  }
  return *asked;
}

ModelConfig read_model(const Places& places, const WeightFiles& files,
                       const std::optional<int>& horizon, const Source& source,
                       std::vector<std::string>& warnings) {
  ModelConfig model;
  model.kind = read_kind(files);
  const auto patch = dimension(files, std::string(kEmbeddings) + "patch_embedding.weight", 4, 2);
  model.vision.patch_size = patch.value_or(model.vision.patch_size);
  model.action_dim = dimension(files, "action_in_proj.weight", 2, 1).value_or(model.action_dim);
  read_config(places, horizon, source, model, warnings);
  read_image_size(files, model);
  model.state_dim = model.action_dim;
  return model;
}

}  // namespace

CheckpointData open_openpi(const Places& places, const WeightFiles& files,
                           const CheckpointOverrides& options) {
  CheckpointData checkpoint;
  checkpoint.directory = places.directory;
  checkpoint.family = Family::kOpenpi;
  const std::string pi0_json = (places / "pi0.json").string();
  std::error_code ignored;
  CheckpointOverrides from_file;
  if (fs::exists(pi0_json, ignored)) from_file = parse_pi0_json(read_json(pi0_json), pi0_json);
  const CheckpointOverrides asked = options.or_else(from_file);
  if (asked.lerobot_release) {
    const Source source(options.lerobot_release.has_value(), places);
    fail(source.where, "a version of lerobot cannot be given for an openpi checkpoint",
         source.code);
  }

  checkpoint.model =
      read_model(places, files, asked.action_horizon,
                 Source(options.action_horizon.has_value(), places), checkpoint.warnings);
  const ModelConfig& model = checkpoint.model;
  checkpoint.model.max_tokens = max_tokens(model.kind, asked.max_token_len,
                                           Source(options.max_token_len.has_value(), places));
  for (const char* name : {"base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"}) {
    Camera camera;
    camera.feature = camera.name = name;
    checkpoint.cameras.push_back(camera);
  }

  const Source source(options.prompt_format.has_value(), places);
  checkpoint.prompt_format =
      choose_prompt_format(model.kind, asked.prompt_format, source.where, source.code);
  if (!options.network_alone && asked.norm_stats) {
    const Statistics named = read_statistics(*asked.norm_stats);
    take_statistics(norm_stats_of(named), named.where, checkpoint);
  } else if (!options.network_alone) {
    find_statistics(places, asked.asset, checkpoint);
  }
  checkpoint.state_dims = state_dims(checkpoint.state, model);
  checkpoint.n_action_steps = model.action_horizon;
  // AlohaOutputs cuts, whatever statistics are padded to.
  const bool aloha = asked.adapt_to_pi.value_or(false);
  read_action_dims(aloha && !asked.action_dims ? kAlohaDims : asked.action_dims,
                   Source(options.action_dims.has_value(), places), checkpoint);
  read_delta_mask(asked.delta_mask, Source(options.delta_mask.has_value(), places), checkpoint);
  if (aloha) {
    require_aloha(Source(options.adapt_to_pi.has_value(), places), checkpoint);
    checkpoint.adapt_to_pi = true;
  }
  return checkpoint;
}

}  // namespace pi0
