#include <fmt/format.h>

#include <array>
#include <set>

#include "device/cpu/cpu.h"
#include "device/cpu/peak.h"
#include "device/operation_log.h"
#include "host/cores.h"
#include "host/host_threads.h"
#include "host/thread_pool.h"

namespace pi0 {
namespace {

constexpr std::array kTypes = {CpuType::kBf16, CpuType::kInt8, CpuType::kFp32};

CpuType type_of(const DeviceRequest& request, const DeviceName& device) {
  const std::string name = device.which.value_or(request.dtype);
  if (device.which && !request.dtype.empty() && name != request.dtype) {
    refuse_device(device.text, "but the dtype asked for is " + request.dtype);
  }
  if (name.empty() && !device.which) return CpuType::kBf16;
  for (const CpuType type : kTypes) {
    if (name == name_of(type)) return type;
  }
  refuse_device(device.text,
                "\"" + name + "\" is no type of the CPU device, expected bf16, int8 or fp32");
}

int threads_of(const DeviceRequest& request) {
  const std::vector<int>& affinity = request.affinity;
  if (request.host_threads != nullptr) {
    if (request.threads != 0 || !affinity.empty() || request.priority != 0) {
      refuse_device(
          request.name,
          "threads, affinity and priority are of threads that libpi0 starts, and the host "
          "program's are to compute: expected one or the other");
    }
    return request.host_threads->count();
  }
  if (affinity.empty()) {
    const int cores = cpu::usable_cores();
    const int threads = request.threads == 0 ? cores : request.threads;
    if (threads >= 1 && threads <= cores) return threads;
    refuse_device(request.name,
                  fmt::format("{} threads, expected 1 to {}, the cores that this thread may use",
                              threads, cores));
  }
  if (request.threads != 0 && request.threads != static_cast<int>(affinity.size())) {
    refuse_device(request.name,
                  fmt::format("affinity has {}, expected a core for each of {} threads",
                              affinity.size(), request.threads));
  }
  if (std::set<int>(affinity.begin(), affinity.end()).size() != affinity.size()) {
    refuse_device(request.name, "affinity has a core twice, expected one a thread");
  }
  return static_cast<int>(affinity.size());
}

std::string describe(const cpu::Scheduling& scheduling) {
  std::string text;
  for (const int core : scheduling.cores) {
    const char* const first = scheduling.cores.size() == 1 ? " on core " : " on cores ";
    text += fmt::format("{}{}", text.empty() ? first : ", ", core);
  }
  if (scheduling.priority != 0) text += fmt::format(", SCHED_FIFO {}", scheduling.priority);
  return text;
}

double least_correlation(CpuType type) {
  switch (type) {
    case CpuType::kBf16:
      return 0.999;
    case CpuType::kInt8:
      return 0.995;
    case CpuType::kFp32:
      break;
  }
  return 0;
}

CpuOptions options_of(const DeviceRequest& request, const DeviceName& name) {
  CpuOptions options;
  options.type = type_of(request, name);
  options.isa = cpu::choose_isa();
  options.threads = threads_of(request);
  options.scheduling = {request.affinity, request.priority};
  if (request.host_threads) options.host = pool_of(*request.host_threads);
  return options;
}

Holding held_as(CpuType type) {
  Holding holding;
  holding.weights = name_of(type);
  holding.copies = 1;
  holding.scale = [type] {
    CpuOptions options;
    options.type = type;
    options.isa = cpu::choose_isa();
    options.memory = make_absent_memory();
    options.host = cpu::ThreadPool::of_none();
    return make_cpu_device(options);
  };
  return holding;
}

class CpuBackend final : public Backend {
 public:
  DeviceInfo info() const override {
    using namespace device_option;
    return {.name = "cpu",
            .description = "this machine's processor",
            .forms = {{":int8", "in 8-bit integers; in bf16 unless said"}, {":fp32", "in fp32"}},
            .options = {kDtype, kThreads, kAffinity, kPriority, kHostThreads, kCache}};
  }

  void check(const DeviceRequest& request, const DeviceName& name) const override {
    if (!name.settings.empty()) refuse_device(name.text, "cpu takes a type alone: cpu:int8");
    options_of(request, name);
  }

  OpenDevice open(const DeviceRequest& request, const DeviceName& name,
                  const std::string& reason) const override {
    CpuOptions options = options_of(request, name);
    if (request.memory) options.memory = request.memory(prepared_form(options.type, options.isa));
    const auto make = [&] { return make_cpu_device(options); };
    OpenDevice opened{.device = logged_as_asked(request, "cpu", make)};
    opened.description = fmt::format(
        "cpu ({} on {}, {}{}{}{}; {})", name_of(options.type), cpu::name_of(options.isa),
        options.threads, options.threads == 1 ? " thread" : " threads",
        describe(options.scheduling), options.host ? " of the program's" : "", reason);
    opened.least_correlation = least_correlation(options.type);
    opened.holding = held_as(options.type);
    options.memory = nullptr;
    opened.peak = HostPeak{.isa = cpu::name_of(options.isa),
                           .dtype = name_of(options.type),
                           .threads = options.threads,
                           .instruction = peak_instruction(options),
                           .measure = [options] { return measure_peak(options); }};
    return opened;
  }

  Holding holding(const DeviceRequest& request, const DeviceName& name) const override {
    return held_as(type_of(request, name));
  }
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

}  // namespace pi0
