// Feeds bytes to the safetensors reader, and what it takes to the reader of lerobot's statistics.
// Whatever they are, every tensor lies within the bytes and is as long as its shape says, or
// pi0::Error is thrown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/lerobot/processors.h"
#include "files/safetensors.h"
#include "pi0/error.h"

namespace {

void check_tensors(const pi0::SafeTensors& file, std::span<const std::byte> bytes) {
  for (const auto& [name, tensor] : file.tensors()) {
    const bool inside = tensor.bytes.data() >= bytes.data() &&
                        tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size();
    std::uint64_t count = 1;
    for (const std::int64_t dim : tensor.shape) count *= static_cast<std::uint64_t>(dim);
    const bool dense = count == 0 ? tensor.bytes.empty() : tensor.bytes.size() % count == 0;
    if (!inside || !dense || file.find(name) != &tensor) std::abort();
  }
}

void read_statistics(const pi0::Statistics& statistics, pi0::NormalizationMode mode) {
  pi0::NormalizerStep step;
  step.eps = 1e-8;
  step.features = {{"observation.state", "STATE"}, {"observation.images.top", "VISUAL"}};
  step.norm_map = {{"STATE", mode}, {"ACTION", mode}, {"VISUAL", mode}};
  const pi0::Feature features[] = {{"observation.state", "STATE", 9},
                                   {"action", "ACTION", 7},
                                   {"observation.images.top", "VISUAL", 3}};
  std::vector<std::string> warnings;
  bool absent = false;
  for (const pi0::Feature& feature : features) {
    try {
      const pi0::Normalization normalization =
          lerobot_normalization(step, &statistics, feature, "fuzz", warnings, absent);
      if (normalization.first.size() != normalization.second.size()) std::abort();
    } catch (const pi0::Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const pi0::SafeTensors file = pi0::SafeTensors::parse(bytes, "fuzz.safetensors");
    check_tensors(file, bytes);
    read_statistics(file.tensors(), pi0::NormalizationMode::kMeanStd);
    read_statistics(file.tensors(), pi0::NormalizationMode::kMinMax);
    read_statistics(file.tensors(), pi0::NormalizationMode::kQuantile10);
    read_statistics(statistics_of_0_3(file.tensors(), "normalize_inputs",
                                      {"observation.state", "observation.images.top"}, "fuzz"),
                    pi0::NormalizationMode::kMeanStd);
  } catch (const pi0::Error&) {
  }
  return 0;
}
