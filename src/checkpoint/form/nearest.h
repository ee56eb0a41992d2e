// What a person has who gave a path that is no checkpoint's: the nearest thing to one, and one
// thing to do with it.
#pragma once

#include <filesystem>
#include <string>

namespace pi0 {

// "; it holds model.gguf, … : …", to follow what an error says of `path`, which exists. Empty where
// nothing near a checkpoint is in it, above it or beside it. Looks at names alone.
std::string nearest_to_checkpoint(const std::filesystem::path& path);

}  // namespace pi0
