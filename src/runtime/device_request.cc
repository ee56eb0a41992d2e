#include "runtime/device_request.h"

namespace pi0 {

DeviceRequest device_request(const DeviceOptions& options) {
  return {.name = options.device,
          .dtype = options.dtype,
          .threads = options.threads,
          .affinity = options.affinity,
          .priority = options.priority,
          .host_threads = options.host_threads};
}

}  // namespace pi0
