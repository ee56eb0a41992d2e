// Several devices that a network is on, and calls side by side on them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pi0/network.h"

namespace pi0 {

// Options of each of `names`. Cores are shared out among them, and so is what memory may be taken;
// throws Error (kInvalidInput) where that is not as many cores for each.
std::vector<DeviceOptions> each_device(const DeviceOptions& options,
                                       const std::vector<std::string>& names);
// Of those that its `device` lists (device_names).
std::vector<DeviceOptions> each_device(const DeviceOptions& options);

// What one thread does of several calls: `next` is what it will be given after `call`, where it is
// known. It asks `stopped` on its way, which throws where another thread has failed.
struct SharedCall {
  std::size_t device = 0;
  std::size_t call = 0;
  std::optional<std::size_t> next = {};
  std::function<void()> stopped = {};
};

// Computes calls 0 to `calls` - 1, of which each device takes the next as it is free: on the
// calling thread for the first one, on a thread of its own (where and before whom the options say)
// for each of the others. What the first of the calls that failed threw comes out, once all threads
// have ended.
void share_out(std::size_t calls, const std::vector<DeviceOptions>& devices,
               const std::function<void(const SharedCall&)>& compute);

}  // namespace pi0
