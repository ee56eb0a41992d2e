#include "runtime/devices.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "device/backend.h"
#include "host/scheduling.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// Out of a call because another has failed.
struct Stopped {};

// The first of the calls that failed, in their order.
class Failure {
 public:
  void note(std::size_t call, std::exception_ptr what) {
    const std::lock_guard lock(mutex_);
    if (what_ == nullptr || call < call_) {
      call_ = call;
      what_ = std::move(what);
    }
    any_ = true;
  }
  bool any() const { return any_; }
  void rethrow() const {
    if (what_ != nullptr) std::rethrow_exception(what_);
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> any_ = false;
  std::size_t call_ = 0;
  std::exception_ptr what_;
};

}  // namespace

std::vector<DeviceOptions> each_device(const DeviceOptions& options) {
  return each_device(options, device_names(options.device));
}

std::vector<DeviceOptions> each_device(const DeviceOptions& options,
                                       const std::vector<std::string>& names) {
  const std::size_t cores = options.affinity.size();
  if (cores % names.size() != 0) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("affinity: {} cores for {} devices, expected as many for each", cores,
                            names.size()));
  }
  const auto each = static_cast<std::ptrdiff_t>(cores / names.size());
  std::vector<DeviceOptions> devices;
  for (const std::string& name : names) {
    const auto first =
        options.affinity.begin() + each * static_cast<std::ptrdiff_t>(devices.size());
    DeviceOptions device = options;
    device.device = name;
    device.affinity.assign(first, first + each);
    if (options.memory_limit_bytes != 0) {  // 0 is none, however many share it
      device.memory_limit_bytes =
          std::max<std::uint64_t>(options.memory_limit_bytes / names.size(), 1);
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

void share_out(std::size_t calls, const std::vector<DeviceOptions>& devices,
               const std::function<void(const SharedCall&)>& compute) {
  std::atomic<std::size_t> begun = std::min(calls, devices.size());  // one for each to begin with
  const auto take = [&]() -> std::optional<std::size_t> {
    std::size_t call = begun;
    while (call < calls && !begun.compare_exchange_weak(call, call + 1)) {
    }
    return call < calls ? std::optional(call) : std::nullopt;
  };
  Failure failure;
  const auto stopped = [&failure] {
    if (failure.any()) throw Stopped{};
  };
  const auto work = [&](std::size_t device) {
    std::optional<std::size_t> call = device;
    while (call && !failure.any()) {
      const std::optional<std::size_t> next = take();
      try {
        compute({.device = device, .call = *call, .next = next, .stopped = stopped});
      } catch (const Stopped&) {
      } catch (...) {
        failure.note(*call, std::current_exception());
      }
      call = next;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t device = 1; device < std::min(calls, devices.size()); ++device) {
    threads.emplace_back([&, device] {
      try {
        cpu::apply({devices[device].affinity, devices[device].priority}, 0, pthread_self());
      } catch (...) {
        return failure.note(device, std::current_exception());
      }
      work(device);
    });
  }
  if (calls > 0) work(0);
  threads.clear();  // when they have ended
  failure.rethrow();
}

}  // namespace pi0
