// The devices that there are, and which of them a name gives.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/backend.h"

namespace pi0 {

using Backends = std::vector<std::shared_ptr<const Backend>>;

// Those of this build, best first, and then those that were added.
Backends all_backends();
// For programs and tests that bring a device of their own. May be called from any thread.
void add_backend(std::shared_ptr<const Backend> backend);

// Which backend a request gets.
struct Choice {
  std::shared_ptr<const Backend> backend;
  DeviceName name;
  std::string reason;  // "named"
};

// Opens nothing. Throws Error (kUnsupported), one sentence with the way out, when there is no such
// device here, or not with these options.
Choice choose_backend(const DeviceRequest& request, const Backends& backends = all_backends());

OpenDevice open_device(const DeviceRequest& request, const Backends& backends = all_backends());

// The machines that a roofline can be drawn of; the first is taken where none is named.
std::vector<std::string> modelled_machines(const Backends& backends = all_backends());
// Null where there is none of that name.
std::unique_ptr<CostModel> cost_model(const std::string& machine,
                                      const Backends& backends = all_backends());

}  // namespace pi0
