// Which devices this build of libpi0 knows, and which of them this machine has.
#pragma once

#include <string>
#include <vector>

#include "pi0/export.h"

namespace pi0 {

// What may follow a device's name.
struct PI0_API DeviceNameForm {
  std::string form = {};     // ":1", ",hidden=dram"
  std::string meaning = {};  // a few words
};

struct PI0_API DeviceInfo {
  std::string name = {};         // what DeviceOptions::device takes
  std::string description = {};  // one line
  std::vector<DeviceNameForm> forms = {};
  std::vector<std::string> options = {};  // those of DeviceOptions that are for it: "dtype"
  std::string absent = {};                // why it cannot run here; empty where it can
  bool only_when_named = false;           // "auto" does not take it
};

// Best first. "auto" takes the first that is not absent and takes the options that are given, but
// none that runs only when it is named: those are there to check others against.
PI0_API std::vector<DeviceInfo> available_devices();

}  // namespace pi0
