// The device operations on TTNN: the whole forward pass on a Tenstorrent card.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device/backend.h"
#include "device/device.h"
#include "device/operations.h"
#include "device/ttnn/config/policies.h"
#include "device/ttnn/shim/shim.h"

namespace pi0 {

// `name`: "ttnn" or "ttnn-emulated". `log` (may be null) is told of the network's parts as mark()
// names them; it hears of the operations from a logging shim.
std::unique_ptr<Device> make_ttnn_device(std::unique_ptr<shim::Api> api, const Policies& policies,
                                         std::string name, OperationLog* log = nullptr);

// How cards are found and opened: on this machine, or in a test.
struct CardAccess {
  bool built = false;  // TTNN, in this build
  std::function<int()> count;
  std::function<std::unique_ptr<shim::Api>(int card)> open;
  bool simulated = false;  // slow: taken only when named
};
CardAccess cards_here();

// "ttnn", on cards.
std::unique_ptr<Backend> make_ttnn_backend(CardAccess access = cards_here());
// "ttnn-emulated".
std::unique_ptr<Backend> make_emulated_backend();

}  // namespace pi0
