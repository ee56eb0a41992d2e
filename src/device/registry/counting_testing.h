// A device in a test that tells how much it was asked.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "device/backend.h"
#include "device/operation_log.h"
#include "device/reference/reference.h"
#include "device/registry/registry.h"

namespace pi0 {

class OperationCount final : public OperationLog {
 public:
  void record(OperationRecord) override { ++operations; }
  void mark(const Component&, int) override {}
  std::atomic<int> operations = 0;
};

// "counting:a", "counting:b": the reference, each with a count of its own.
class CountingBackend final : public Backend {
 public:
  DeviceInfo info() const override { return {.name = "counting", .only_when_named = true}; }
  void check(const DeviceRequest&, const DeviceName&) const override {}
  OpenDevice open(const DeviceRequest&, const DeviceName& name,
                  const std::string& reason) const override {
    OperationCount& count = name.which == "a" ? a : b;
    return {.device = make_logging_device(make_reference_device(), count),
            .description = name.text + " (" + reason + ")"};
  }
  Holding holding(const DeviceRequest&, const DeviceName&) const override { return {}; }

  mutable OperationCount a, b;
};

// Of this program.
inline CountingBackend& counting() {
  static const auto backend = [] {
    auto made = std::make_shared<CountingBackend>();
    add_backend(made);
    return made;
  }();
  return *backend;
}

// Whether a and b were asked anything in `work`.
template <typename Work>
std::pair<bool, bool> asked_in(Work&& work) {
  CountingBackend& backend = counting();
  backend.a.operations = backend.b.operations = 0;
  work();
  return {backend.a.operations > 0, backend.b.operations > 0};
}

}  // namespace pi0
