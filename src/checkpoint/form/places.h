// Where a checkpoint's files are: in its own directory, or, where that is of adapters, in the
// base's.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace pi0 {

struct Places {
  std::filesystem::path directory;
  std::filesystem::path base = {};  // empty but for adapters

  const std::filesystem::path& weights() const { return base.empty() ? directory : base; }
  // The directory that has a file or folder of this name, the checkpoint's own where neither does.
  const std::filesystem::path& of(const std::string& name) const {
    std::error_code ignored;
    const bool elsewhere = !base.empty() && !std::filesystem::exists(directory / name, ignored) &&
                           std::filesystem::exists(base / name, ignored);
    return elsewhere ? base : directory;
  }
  std::filesystem::path operator/(const std::string& name) const { return of(name) / name; }
};

// Whether a directory has model.safetensors, or the index of several files.
bool holds_weights(const std::filesystem::path& directory);

// "lerobot/pi0_base": as repositories of the Hugging Face Hub are named.
bool is_hub_name(const std::string& name);

}  // namespace pi0
