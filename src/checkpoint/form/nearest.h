// What a person has who gave a path that is no checkpoint's: the nearest thing to one, and one
// thing to do with it.
#pragma once

#include <filesystem>
#include <string>

namespace pi0 {

// "; it holds model.gguf, … : …", to follow what an error says of `path`, which exists. Empty where
// nothing near a checkpoint is in it, above it or beside it. Looks at names alone.
std::string nearest_to_checkpoint(const std::filesystem::path& path);

// "; model.safetensors is a link to what is not there: …": what a copy of the Hugging Face Hub's
// cache without its blobs holds. Empty where there is none of a checkpoint's files.
std::string links_to_nothing(const std::filesystem::path& directory);

}  // namespace pi0
