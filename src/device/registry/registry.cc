#include "device/registry/registry.h"

#include <algorithm>
#include <mutex>

#include "device/cpu/cpu.h"
#include "device/reference/reference.h"
#include "device/ttnn/ttnn.h"

namespace pi0 {
namespace {

struct Registry {
  std::mutex mutex;
  Backends backends;
};

// A line a backend, the best first.
Registry& registry() {
  static Registry all{.mutex = {},
                      .backends = {make_ttnn_backend(), make_cpu_backend(), make_emulated_backend(),
                                   make_reference_backend()}};
  return all;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Those of `wanted` that a device does not take.
std::vector<std::string> missing(const std::vector<std::string>& wanted, const DeviceInfo& info) {
  std::vector<std::string> missing;
  for (const std::string& option : wanted) {
    if (std::find(info.options.begin(), info.options.end(), option) == info.options.end()) {
      missing.push_back(option);
    }
  }
  return missing;
}

// "auto": the first that is here and takes what is asked.
Choice best(const DeviceRequest& request, const DeviceName& name, const Backends& backends) {
  const std::vector<std::string> wanted = options_in(request);
  std::string passed_over;  // why not a better one
  for (const std::shared_ptr<const Backend>& backend : backends) {
    const DeviceInfo info = backend->info();
    if (info.only_when_named) continue;
    const std::vector<std::string> lacking = missing(wanted, info);
    std::string reason = info.absent;
    if (reason.empty() && !lacking.empty()) reason = info.name + " takes no " + join(lacking);
    if (reason.empty()) {
      return {backend, name, passed_over.empty() ? "the best device here" : passed_over};
    }
    if (passed_over.empty()) passed_over = reason;
  }
  refuse_device(name.text,
                "none here takes " + join(wanted) + "; name one that `pi0 --help` lists");
}

}  // namespace

Backends all_backends() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return all.backends;
}

void add_backend(std::shared_ptr<const Backend> backend) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.backends.push_back(std::move(backend));
}

Choice choose_backend(const DeviceRequest& request, const Backends& backends) {
  if (const std::size_t devices = device_names(request.name).size(); devices > 1) {
    refuse_device(request.name, std::to_string(devices) +
                                    " devices, expected one: this looks at a single device");
  }
  const DeviceName name(request.name);
  const std::vector<std::string> wanted = options_in(request);
  std::vector<std::string> known, taking;
  for (const std::shared_ptr<const Backend>& backend : backends) {
    const DeviceInfo info = backend->info();
    known.push_back(info.name);
    if (missing(wanted, info).empty()) taking.push_back("--device " + info.name);
  }
  if (name.kind == "auto" && !name.which) {
    Choice choice = best(request, name, backends);
    choice.backend->check(request, name);
    return choice;
  }
  for (const std::shared_ptr<const Backend>& backend : backends) {
    const DeviceInfo info = backend->info();
    if (info.name != name.kind) continue;
    if (const std::vector<std::string> lacking = missing(wanted, info); !lacking.empty()) {
      refuse_device(name.text, info.name + " takes no " + join(lacking) + ", expected " +
                                   (taking.empty() ? "none" : join(taking)) + " with it");
    }
    backend->check(request, name);
    return {backend, name, "named"};
  }
  refuse_device(name.text, "no such device, expected one of auto, " + join(known));
}

OpenDevice open_device(const DeviceRequest& request, const Backends& backends) {
  const Choice choice = choose_backend(request, backends);
  return choice.backend->open(request, choice.name, choice.reason);
}

std::vector<std::string> modelled_machines(const Backends& backends) {
  std::vector<std::string> machines;
  for (const std::shared_ptr<const Backend>& backend : backends) {
    const std::vector<std::string> own = backend->machines();
    machines.insert(machines.end(), own.begin(), own.end());
  }
  return machines;
}

std::unique_ptr<CostModel> cost_model(const std::string& machine, const Backends& backends) {
  for (const std::shared_ptr<const Backend>& backend : backends) {
    if (std::unique_ptr<CostModel> model = backend->cost_model(machine)) return model;
  }
  return nullptr;
}

std::vector<DeviceInfo> available_devices() {
  std::vector<DeviceInfo> devices;
  for (const std::shared_ptr<const Backend>& backend : all_backends()) {
    devices.push_back(backend->info());
  }
  return devices;
}

}  // namespace pi0
