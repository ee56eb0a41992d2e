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
