// Where the weights are that adapters change.
#pragma once

#include <filesystem>
#include <string>

namespace pi0 {

// Whether a directory holds adapters, as peft saves them.
bool holds_adapters(const std::filesystem::path& directory);

struct FoundBase {
  std::filesystem::path directory;
  bool by_last_part = false;  // found by the last part of its name alone
};

// The directory of the base: `named` (--base) where it is not empty, else what `base` of
// adapter_config.json stands for: a directory (as it is, within or beside that of the adapters, by
// its last part too, where that is no name that every training run has), or one of the Hugging Face
// Hub in its cache (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, ~/.cache) at `revision`. Throws Error
// with the places that were looked at.
FoundBase find_base(const std::filesystem::path& adapters, const std::string& base,
                    const std::string& revision, const std::filesystem::path& named);

}  // namespace pi0
