// The device operations on TTNN: the whole forward pass on a Tenstorrent card.
#pragma once

#include <memory>
#include <string>

#include "device/device.h"
#include "device/operations.h"
#include "device/ttnn/policies.h"
#include "device/ttnn/shim.h"

namespace pi0 {

// `name`: "ttnn" or "ttnn-emulated". `log` (may be null) is told of the network's parts as mark()
// names them; it hears of the operations from a recording shim.
std::unique_ptr<Device> make_ttnn_device(std::unique_ptr<shim::Api> api, const Policies& policies,
                                         std::string name, OperationLog* log = nullptr);

}  // namespace pi0
