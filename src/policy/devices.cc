#include "policy/devices.h"

#include <charconv>
#include <set>
#include <sstream>

#include "device/cpu/cores.h"
#include "device/cpu/thread_pool.h"
#include "device/recording.h"
#include "device/reference/reference.h"
#include "device/ttnn/emulated_shim.h"
#include "device/ttnn/policies.h"
#include "device/ttnn/real_shim.h"
#include "device/ttnn/recording_shim.h"
#include "device/ttnn/ttnn.h"
#include "pi0/error.h"
#include "policy/host_threads.h"

namespace pi0 {
namespace {

constexpr const char* kOtherDevices = "name --device cpu, or ttnn-emulated to see a card's calls";

[[noreturn]] void refuse(const std::string& name, const std::string& sentence) {
  throw Error(ErrorCode::kUnsupported, "device " + name + ": " + sentence);
}

// "ttnn:1,hidden=dram" is "ttnn", "1" and "hidden=dram".
struct DeviceName {
  explicit DeviceName(const std::string& name) {
    std::istringstream parts(name);
    std::getline(parts, kind, ',');
    for (std::string setting; std::getline(parts, setting, ',');) settings.push_back(setting);
    if (name.ends_with(',')) settings.emplace_back();  // which getline leaves out
    if (const std::size_t colon = kind.find(':'); colon != std::string::npos) {
      which = kind.substr(colon + 1);
      kind.resize(colon);
    }
  }
  std::string kind;
  std::optional<std::string> which;
  std::vector<std::string> settings;  // of policies
};

ChosenDevice on_card(std::unique_ptr<shim::Api> api, const std::string& name,
                     const std::string& reason, const std::vector<std::string>& settings,
                     OperationLog* log) {
  ChosenDevice chosen;
  chosen.description = name + " (" + api->description() + "; " + reason;
  chosen.card = api->card();
  chosen.least_correlation = 0.99;
  chosen.policies = default_policies(*chosen.card);
  for (const std::string& setting : settings) {
    override_policy(*chosen.policies, setting);
    chosen.description += "; " + setting;
  }
  chosen.description += ")";
  if (log != nullptr) api = make_recording_shim(std::move(api), *log);
  chosen.device = make_ttnn_device(std::move(api), *chosen.policies, name, log);
  return chosen;
}

// Before a card is opened, which takes seconds.
void require_settings(const DeviceName& device) {
  Policies policies = default_policies(*find_card("n150"));
  for (const std::string& setting : device.settings) override_policy(policies, setting);
}

ChosenDevice reference(const DeviceRequest& request) {
  ChosenDevice chosen;
  chosen.description = "reference (named)";
  if (request.log == nullptr) {
    chosen.device = make_reference_device();
  } else if (request.arithmetic) {
    chosen.device = make_recording_device(make_reference_device(), *request.log);
  } else {
    chosen.device = make_recording_device("reference", *request.log);
  }
  return chosen;
}

ChosenDevice emulated(const DeviceRequest& request, const DeviceName& device) {
  const std::string card_name = device.which.value_or("n150");
  const Card* card = find_card(card_name);
  if (card == nullptr) {
    std::string known;
    for (const std::string& name : card_names()) known += (known.empty() ? "" : " or ") + name;
    refuse(request.name, "there is no emulated card " + card_name + ", expected " + known);
  }
  return on_card(make_emulated_shim(*card, request.arithmetic), "ttnn-emulated", "named",
                 device.settings, request.log);
}

CpuType cpu_type(const DeviceRequest& request, const DeviceName& device) {
  const std::string name = device.which.value_or(request.dtype);
  if (device.which && !request.dtype.empty() && name != request.dtype) {
    refuse(request.name, "but the dtype asked for is " + request.dtype);
  }
  if (name.empty() && !device.which) return CpuType::kBf16;
  for (const CpuType type : {CpuType::kBf16, CpuType::kInt8, CpuType::kFp32}) {
    if (name == name_of(type)) return type;
  }
  refuse(request.name,
         "\"" + name + "\" is no type of the CPU device, expected bf16, int8 or fp32");
}

int cpu_threads(const DeviceRequest& request) {
  const std::vector<int>& affinity = request.scheduling.cores;
  if (request.host != nullptr) {
    if (request.threads != 0 || request.scheduling != cpu::Scheduling()) {
      refuse(request.name,
             "threads, affinity and priority are of threads that libpi0 starts, and the host "
             "program's are to compute: expected one or the other");
    }
    return request.host->size();
  }
  if (affinity.empty()) {
    const int cores = cpu::usable_cores();
    const int threads = request.threads == 0 ? cores : request.threads;
    if (threads >= 1 && threads <= cores) return threads;
    refuse(request.name, std::to_string(threads) + " threads, expected 1 to " +
                             std::to_string(cores) + ", the cores that this thread may use");
  }
  if (request.threads != 0 && request.threads != static_cast<int>(affinity.size())) {
    refuse(request.name, "affinity has " + std::to_string(affinity.size()) +
                             ", expected a core for "
                             "each of " +
                             std::to_string(request.threads) + " threads");
  }
  if (std::set<int>(affinity.begin(), affinity.end()).size() != affinity.size()) {
    refuse(request.name, "affinity has a core twice, expected one a thread");
  }
  return static_cast<int>(affinity.size());
}

std::string describe(const cpu::Scheduling& scheduling) {
  std::string text;
  for (const int core : scheduling.cores) {
    text += (text.empty() ? (scheduling.cores.size() == 1 ? " on core " : " on cores ") : ", ") +
            std::to_string(core);
  }
  if (scheduling.priority != 0) text += ", SCHED_FIFO " + std::to_string(scheduling.priority);
  return text;
}

ChosenDevice on_cpu(const DeviceRequest& request, const DeviceName& device,
                    const std::string& reason) {
  if (!device.settings.empty()) refuse(request.name, "cpu takes a type alone: cpu:int8");
  CpuOptions options;
  options.type = cpu_type(request, device);
  options.isa = cpu::choose_isa();
  options.threads = cpu_threads(request);
  options.scheduling = request.scheduling;
  options.host = request.host;
  if (request.memory) options.memory = request.memory(options);
  ChosenDevice chosen;
  chosen.description = std::string("cpu (") + name_of(options.type) + " on " +
                       cpu::name_of(options.isa) + ", " + std::to_string(options.threads) +
                       (options.threads == 1 ? " thread" : " threads") +
                       describe(options.scheduling) + (options.host ? " of the program's" : "") +
                       "; " + reason + ")";
  chosen.cpu = options;
  chosen.least_correlation = options.type == CpuType::kFp32   ? 0
                             : options.type == CpuType::kBf16 ? 0.999
                                                              : 0.995;
  if (request.log == nullptr) {
    chosen.device = make_cpu_device(options);
  } else if (request.arithmetic) {
    chosen.device = make_recording_device(make_cpu_device(options), *request.log);
  } else {
    chosen.device = make_recording_device("cpu", *request.log);
  }
  return chosen;
}

int card_number(const DeviceRequest& request, const std::string& text, int cards) {
  int number = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) {
    refuse(request.name, "\"" + text + "\" is no card's number, expected ttnn:0 for the first");
  }
  if (number >= cards) {
    refuse(request.name, "this machine has " + std::to_string(cards) +
                             (cards == 1 ? " card: ttnn:0"
                                         : " cards: ttnn:0 to ttnn:" + std::to_string(cards - 1)));
  }
  return number;
}

ChosenDevice ttnn(const DeviceRequest& request, const Machine& machine, const DeviceName& device) {
  require_settings(device);
  if (!machine.has_ttnn) {
    refuse(
        request.name,
        std::string("this build has no TTNN; build with cmake -DPI0_TTNN=ON, or ") + kOtherDevices);
  }
  const int cards = machine.count_cards();
  if (cards == 0) {
    refuse(request.name,
           std::string("no Tenstorrent card was found (tt-smi lists them); ") + kOtherDevices);
  }
  const int card = device.which ? card_number(request, *device.which, cards) : 0;
  return on_card(machine.open_card(card), "ttnn", "named", device.settings, request.log);
}

bool is_of_cpu(const DeviceRequest& request) {
  return !request.dtype.empty() || request.threads != 0 || request.host != nullptr ||
         request.scheduling != cpu::Scheduling();
}

// The first of available_devices() that is there, but for those that run only when named.
ChosenDevice best(const DeviceRequest& request, const Machine& machine, const DeviceName& device) {
  require_settings(device);
  if (is_of_cpu(request))
    return on_cpu(request, device, "dtype, threads and their scheduling are the CPU's");
  if (machine.has_ttnn && machine.count_cards() > 0) {
    return on_card(machine.open_card(0), "ttnn", "the best device here", device.settings,
                   request.log);
  }
  return on_cpu(request, device,
                machine.has_ttnn ? "no Tenstorrent card was found" : "this build has no TTNN");
}

}  // namespace

DeviceRequest device_request(const NetworkOptions& options) {
  DeviceRequest request;
  request.name = options.device;
  request.dtype = options.dtype;
  request.threads = options.threads;
  request.scheduling = {options.affinity, options.priority};
  if (options.host_threads) request.host = pool_of(*options.host_threads);
  return request;
}

std::vector<DeviceInfo> available_devices() {
  std::vector<DeviceInfo> devices;
  if (ttnn_is_built()) {
    devices.push_back({"ttnn", "TTNN on a Tenstorrent card; ttnn:1 for the second"});
  }
  devices.push_back({"cpu", "this machine's processor; cpu:int8 or cpu:fp32 for another type"});
  devices.push_back({"ttnn-emulated",
                     "the same calls on a card emulated by the CPU, n150 unless said "
                     "(ttnn-emulated:p150): to develop and to check, slow"});
  devices.push_back(
      {"reference", "plain fp32 loops on the CPU: the truth to check against, not fast"});
  return devices;
}

ChosenDevice choose_device(const DeviceRequest& request, const Machine& machine) {
  const DeviceName name(request.name);
  if (name.kind == "auto" && !name.which) return best(request, machine, name);
  if (name.kind == "cpu") return on_cpu(request, name, "named");
  if (is_of_cpu(request)) {
    refuse(request.name,
           "dtype, threads and their scheduling are the CPU's: expected --device cpu with them");
  }
  if (name.kind == "reference" && !name.which) {
    if (!name.settings.empty()) refuse(request.name, "reference takes no settings");
    return reference(request);
  }
  if (name.kind == "ttnn") return ttnn(request, machine, name);
  if (name.kind == "ttnn-emulated") return emulated(request, name);
  std::string known;
  for (const DeviceInfo& device : available_devices()) {
    known += (known.empty() ? "" : ", ") + device.name;
  }
  refuse(request.name, "not in this build, which has: " + known);
}

ChosenDevice choose_device(const DeviceRequest& request) {
  return choose_device(request, {ttnn_is_built(), count_cards, make_real_shim});
}

}  // namespace pi0
