// Feeds text to the reader of model.safetensors.index.json. Whatever it is, every shard that comes
// back lies within the checkpoint's directory, or pi0::Error is thrown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "checkpoint/weights/weight_files.h"
#include "files/json.h"
#include "pi0/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [name, shard] :
         pi0::parse_shard_index(pi0::parse_json(text, "fuzz"), "fuzz")) {
      const std::filesystem::path path = ("/checkpoint" / std::filesystem::path(shard));
      const std::string resolved = path.lexically_normal().string();
      if (!resolved.starts_with("/checkpoint/")) std::abort();
    }
  } catch (const pi0::Error&) {
  }
  return 0;
}
