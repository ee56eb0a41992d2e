// A checkpoint, opened: what it is, and whether an observation fits, before its weights are
// prepared, which can take a minute.
//
//   const pi0::Checkpoint checkpoint = pi0::Checkpoint::open("checkpoint/");
//   checkpoint.check(observation);  // throws where it does not fit
//   const pi0::Policy policy = checkpoint.load({.device = "cpu", .dtype = "int8"});
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pi0/export.h"
#include "pi0/network.h"
#include "pi0/observation.h"

namespace pi0 {

class Policy;

// How a checkpoint is read, where it does not say it or is to be read otherwise. Names as `pi0 run`
// takes them: "openpi" or "lerobot", "pi0" or "pi05". An empty string or no value means: as the
// checkpoint says.
struct PI0_API CheckpointOptions {
  std::filesystem::path tokenizer = {};  // else beside the checkpoint, else PI0_TOKENIZER
  std::string resize = {};         // "openpi" (PIL, uint8) or "lerobot" (float, not antialiased)
  std::string prompt_format = {};  // "pi0" or "pi05" (the state's bins in the text)
  std::optional<std::string> delta_mask = {};  // openpi: as its make_bool_mask takes it, "6,-1"
  std::string asset = {};                      // openpi: which assets/<id>/norm_stats.json
  int action_dims = 0;                         // openpi: the robot's own dimensions
  bool adapt_to_pi = false;  // openpi's ALOHA: joints and grippers as π0 has them
  // lerobot: the release that trained it, "0.4" or a later one ("0.6.1"), where its files do not
  // say: 0.4 padded pi05's state in the prompt, and images with -3.
  std::string lerobot_version = {};
  int action_horizon = 0;  // openpi: rows of a chunk, where no config.json says them
  int max_token_len = 0;   // openpi: the longest prompt, where training's was not the kind's own
  // Of adapters (adapter_config.json): the directory of the weights that they change; else the one
  // that their configuration names, as it is, beside them or in the Hugging Face Hub's cache.
  std::filesystem::path base = {};
  // Statistics to take in place of the checkpoint's: openpi's norm_stats.json, lerobot's
  // meta/stats.json of a dataset or the safetensors of a processor.
  std::filesystem::path norm_stats = {};
  bool raw = false;  // allow a checkpoint without statistics: state and actions as the network's
};

struct PI0_API CameraInfo {
  std::string feature = {};  // the checkpoint's full name
  std::string name = {};     // what `Observation::images` may use instead
  bool empty = false;        // lerobot's empty_cameras: a slot that training left empty
};

struct PI0_API PolicyInfo {
  std::string kind = {};    // "pi0" or "pi05"
  std::string family = {};  // "lerobot" or "openpi"
  std::vector<CameraInfo> cameras = {};
  // lerobot: a robot's keys that are renamed first, each to a feature: a camera's, or the state's.
  std::map<std::string, std::string> rename_map = {};
  int state_dims = 0;      // the robot's own; 0: the checkpoint does not say, any up to state_dim
  int action_dims = 0;     // the robot's own
  int action_horizon = 0;  // rows of a chunk
  int n_action_steps = 0;  // how many of them the checkpoint's robot executes
  int num_steps = 0;       // Euler steps
  std::vector<std::string> action_names = {};  // one a dimension
  std::string action_units = {};               // where they are known: of openpi's ALOHA
  bool adapt_to_pi = false;       // state and actions are turned from ALOHA's to π0's and back
  bool relative_actions = false;  // some are predicted relative to the state, and made absolute
  std::vector<std::string> warnings = {};  // what is legal but worth saying about the checkpoint
};

// May be copied: it is read once. Any number of policies may be loaded from one, on several
// devices.
class PI0_API Checkpoint {
 public:
  // Reads configuration, statistics and tokenizer; maps the weights. Throws Error; see pi0/error.h.
  static Checkpoint open(const std::filesystem::path& directory,
                         const CheckpointOptions& options = {});
  Checkpoint(const Checkpoint&) = default;  // also what a move does: none is ever empty
  Checkpoint& operator=(const Checkpoint&) = default;

  const PolicyInfo& info() const;
  // Sizes of the network's own tensors.
  const NetworkInfo& network() const;

  // Throws Error (kInvalidInput) naming what in an observation, or in how a session is to continue
  // its last chunk with it, does not fit; returns what is legal but worth saying about it.
  std::vector<std::string> check(const Observation& observation,
                                 const std::optional<RealTimeChunking>& rtc = {}) const;

  // Prepares the weights on a device. Throws Error; nothing is left half loaded.
  Policy load(const DeviceOptions& options = {}) const;

 private:
  friend struct PolicyCore;
  struct Impl;
  explicit Checkpoint(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace pi0
