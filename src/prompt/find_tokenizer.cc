#include "prompt/find_tokenizer.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "pi0/error.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;  // a directory that may not be read holds nothing for us
  return fs::is_regular_file(path, ignored);
}

fs::path require_file(const fs::path& path, const std::string& who) {
  if (is_file(path)) return path;
  throw Error(ErrorCode::kIo, who + " names the tokenizer " + path.string() + ", which is no file");
}

}  // namespace

fs::path find_tokenizer(const fs::path& checkpoint_directory, const fs::path& named,
                        const fs::path& base, const std::string& wanted) {
  if (!named.empty()) return require_file(named, "the tokenizer option");
  for (const fs::path& directory : {checkpoint_directory, base}) {
    if (directory.empty()) continue;
    for (const char* name : {"tokenizer.model", "paligemma_tokenizer.model", "tokenizer.json",
                             "tokenizer/tokenizer.model", "tokenizer/tokenizer.json"}) {
      fs::path beside = directory / name;
      if (is_file(beside)) return beside;
    }
  }
  const auto says = [&](const char* name) { return wanted.find(name) != std::string::npos; };
  if (!wanted.empty() && !says("paligemma") && !says("PaliGemma")) {
    throw Error(ErrorCode::kUnsupported,
                checkpoint_directory.string() + ": its tokenizer step names " + wanted +
                    ", expected PaliGemma's; put the tokenizer that it was trained with beside the "
                    "checkpoint, or name its file (--tokenizer)");
  }
  const char* environment = std::getenv("PI0_TOKENIZER");  // NOLINT(concurrency-mt-unsafe)
  if (environment && *environment) return require_file(environment, "PI0_TOKENIZER");
  throw Error(
      ErrorCode::kIo,
      checkpoint_directory.string() +
          ": no tokenizer beside the checkpoint; put PaliGemma's tokenizer.model or "
          "tokenizer.json there, name it (--tokenizer, or CheckpointOptions::tokenizer), or "
          "set PI0_TOKENIZER. openpi has it at "
          "gs://big_vision/paligemma_tokenizer.model, Hugging Face in "
          "google/paligemma-3b-pt-224, where its licence has to be accepted");
}

}  // namespace pi0
