// Which devices this build of libpi0 can run a network on.
#pragma once

#include <string>
#include <vector>

#include "pi0/export.h"

namespace pi0 {

struct PI0_API DeviceInfo {
  std::string name = {};         // what NetworkOptions::device takes
  std::string description = {};  // one line
};

// Best first. "auto" takes the first of them that is present, but never the reference, which is
// there to check others against and runs only when named.
PI0_API std::vector<DeviceInfo> available_devices();

}  // namespace pi0
