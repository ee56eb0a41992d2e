// Where the tokenizer of a checkpoint is; checkpoints do not come with one as a rule.
#pragma once

#include <filesystem>
#include <string>

namespace pi0 {

// `named`, unless it is empty; else a file beside the checkpoint: tokenizer.model,
// paligemma_tokenizer.model, tokenizer.json, tokenizer/tokenizer.model, tokenizer/tokenizer.json;
// else one of these beside `base`, whose weights the checkpoint's adapters change; else what the
// environment's PI0_TOKENIZER names. The .model stands before the .json: both are the same
// vocabulary, and it is read several times as fast.
// `wanted`: what the checkpoint calls its tokenizer, where it does; the environment's is
// PaliGemma's.
//
// Throws Error (kUnsupported) when the environment would be asked and another than PaliGemma's is
// wanted; (kIo) when what was named is not there, and when nothing is found, saying where
// PaliGemma's can be had.
std::filesystem::path find_tokenizer(const std::filesystem::path& checkpoint_directory,
                                     const std::filesystem::path& named = {},
                                     const std::filesystem::path& base = {},
                                     const std::string& wanted = {});

}  // namespace pi0
