#include "policy/readiness.h"

#include "device/registry/registry.h"
#include "pi0/error.h"
#include "policy/pipeline.h"
#include "prompt/find_tokenizer.h"
#include "runtime/device_request.h"
#include "runtime/devices.h"
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
    const std::vector<DeviceOptions> devices = each_device(device);
    std::vector<OpenDevice> opened;  // all of them at once, as a policy has them
    std::string names;
    for (const DeviceOptions& one : devices) {
      opened.push_back(open_device(device_request(one)));
      names += (names.empty() ? "" : ", ") + opened.back().description;
    }
    readiness.device = names;
    const std::uint64_t available = available_memory().value_or(0) / devices.size();
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const std::uint64_t limit = devices[i].memory_limit_bytes;
      require_memory(checkpoint, opened[i], limit == 0 && devices.size() > 1 ? available : limit);
    }
  });
  return readiness;
}

}  // namespace pi0
