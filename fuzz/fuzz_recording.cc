// A recording from bytes: its header, its metadata, its tensors. Only pi0::Error may escape.
#include <cstddef>
#include <cstdint>
#include <span>

#include "pi0/error.h"
#include "verify/recording.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pi0::CheckpointData checkpoint;
  checkpoint.cameras = {{"observation.images.top", "top", false, {}},
                        {"observation.images.wrist", "wrist", false, {}}};
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    pi0::parse_recording(pi0::SafeTensors::parse(bytes, "recording"), checkpoint);
  } catch (const pi0::Error&) {
  }
  return 0;
}
