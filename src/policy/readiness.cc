#include "policy/readiness.h"

#include "device/registry/registry.h"
#include "pi0/error.h"
#include "policy/pipeline.h"
#include "prompt/find_tokenizer.h"
#include "runtime/device_request.h"
#include "runtime/memory.h"

namespace pi0 {

Readiness readiness_of(const Inspection& inspection, const CheckpointOptions& options,
                       const DeviceOptions& device) {
  const CheckpointData& checkpoint = inspection.checkpoint;
  Readiness readiness;
  readiness.refused = inspection.refused;
  const auto ask = [&](auto&& step) {
    try {
      step();
    } catch (const Error& error) {
      readiness.refused.emplace_back(error.what());
    }
  };
  if (!inspection.network_alone) ask([&] { require_statistics(checkpoint, options); });
  ask([&] { resize_method(checkpoint, options); });
  ask([&] {
    const std::filesystem::path found = find_tokenizer(checkpoint.directory, options.tokenizer,
                                                       checkpoint.base, checkpoint.tokenizer_name);
    Tokenizer::load(found);
    readiness.tokenizer = found;
  });
  ask([&] {
    const OpenDevice opened = open_device(device_request(device));
    readiness.device = opened.description;
    require_memory(checkpoint, opened, device.memory_limit_bytes);
  });
  return readiness;
}

}  // namespace pi0
