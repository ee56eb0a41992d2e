// A device in a test that a test opens, holds or refuses.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "device/backend.h"
#include "device/operation_log.h"
#include "device/reference/reference.h"
#include "device/registry/registry.h"

namespace pi0 {

// "hooked:a", "hooked:b": the reference, each opened once the hook has returned. It may wait, or
// throw what the load then throws.
class HookedBackend final : public Backend {
 public:
  using Hook = std::function<void(const std::string& which)>;
  void set(Hook hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }
  // Called once, within the next operation of any of them.
  void hold_next(std::function<void()> hook) { operations_.set(std::move(hook)); }

  DeviceInfo info() const override { return {.name = "hooked", .only_when_named = true}; }
  void check(const DeviceRequest&, const DeviceName&) const override {}
  OpenDevice open(const DeviceRequest&, const DeviceName& name,
                  const std::string& reason) const override {
    Hook hook;
    {
      const std::lock_guard lock(mutex_);
      hook = hook_;
    }
    if (hook) hook(name.which.value_or(""));
    return {.device = make_logging_device(make_reference_device(), operations_),
            .description = name.text + " (" + reason + ")"};
  }
  Holding holding(const DeviceRequest&, const DeviceName&) const override { return {}; }

 private:
  class Operations final : public OperationLog {
   public:
    void set(std::function<void()> hook) {
      const std::lock_guard lock(mutex_);
      hook_ = std::move(hook);
    }
    void record(OperationRecord) override {
      std::function<void()> hook;
      {
        const std::lock_guard lock(mutex_);
        hook = std::exchange(hook_, {});
      }
      if (hook) hook();
    }
    void mark(const Component&, int) override {}

   private:
    std::mutex mutex_;
    std::function<void()> hook_;
  };

  mutable std::mutex mutex_;
  Hook hook_;
  mutable Operations operations_;
};

// Of this program, without a hook.
inline HookedBackend& hooked() {
  static const auto backend = [] {
    auto made = std::make_shared<HookedBackend>();
    add_backend(made);
    return made;
  }();
  backend->set({});
  return *backend;
}

}  // namespace pi0
