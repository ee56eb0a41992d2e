#include "device/backend.h"

#include <sstream>

#include "pi0/error.h"

namespace pi0 {

DeviceName::DeviceName(std::string_view name) : text(name) {
  std::istringstream parts(text);
  std::getline(parts, kind, ',');
  for (std::string setting; std::getline(parts, setting, ',');) settings.push_back(setting);
  if (text.ends_with(',')) settings.emplace_back();  // which getline leaves out
  if (const std::size_t colon = kind.find(':'); colon != std::string::npos) {
    which = kind.substr(colon + 1);
    kind.resize(colon);
  }
}

std::vector<std::string> device_names(const std::string& name) {
  std::vector<std::string> names;
  std::string settings;
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, ',');) {
    const bool is_setting = part.empty() || part.find('=') != std::string::npos;
    if (is_setting && !names.empty()) {
      settings += "," + part;
    } else if (settings.empty()) {
      names.push_back(part);
    } else {
      refuse_device(name, part +
                              " after a setting, expected the devices first, and then the "
                              "settings of all of them");
    }
  }
  if (name.ends_with(',')) settings += ",";  // which getline leaves out
  if (names.size() < 2) return {name};
  for (std::string& one : names) {
    const std::string kind = DeviceName(one).kind;
    if (kind != DeviceName(names.front()).kind) {
      refuse_device(name, one + " beside " + names.front() +
                              ", whose results differ, expected "
                              "devices of one kind");
    }
  }
  for (std::string& one : names) one += settings;
  return names;
}

std::vector<std::string> options_in(const DeviceRequest& request) {
  std::vector<std::string> options;
  const auto add = [&](bool given, const char* option) {
    if (given) options.emplace_back(option);
  };
  add(!request.dtype.empty(), device_option::kDtype);
  add(request.threads != 0, device_option::kThreads);
  add(!request.affinity.empty(), device_option::kAffinity);
  add(request.priority != 0, device_option::kPriority);
  add(request.host_threads != nullptr, device_option::kHostThreads);
  add(static_cast<bool>(request.memory), device_option::kCache);
  return options;
}

void refuse_device(const std::string& name, const std::string& sentence) {
  throw Error(ErrorCode::kUnsupported, "device " + name + ": " + sentence);
}

}  // namespace pi0
