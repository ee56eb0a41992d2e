// Two devices in lockstep: how far apart each part of the network comes out.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "device/lockstep.h"
#include "runtime/random_input.h"
#include "verify/compare.h"

namespace pi0 {

// An operation's results on both devices, the worst over all calls.
struct ComparedOperation {
  std::string operation;
  Component component = {};
  int index = 0;
  Shape shape;
  Difference difference;
};

// A part of the network: its value is that of its last operation.
struct ComparedComponent {
  ComparedOperation last;
  ComparedOperation worst;  // inside
};

// Observes the devices and keeps what each part comes to; calls may follow one another.
class Comparison final : public LockstepObserver {
 public:
  void observe(const LockstepResult& result) override;
  // After each call: what it started from. Compares actions - noise, which is what the network
  // adds: noise, which both have, would hide a difference.
  void end_call(std::span<const float> noise);

  // In the order of the network.
  const std::vector<ComparedComponent>& components() const { return components_; }
  double worst_pcc() const;  // of the components' values
  double actions_pcc() const { return actions_.correlation; }
  const Difference& actions() const { return actions_; }
  // Never where nothing was compared.
  bool passed(double pcc) const {
    return !components_.empty() && worst_pcc() >= pcc && actions_pcc() >= pcc;
  }

 private:
  ComparedComponent& component_of(const LockstepResult& result);
  void end_component();

  std::vector<ComparedComponent> components_;
  std::map<std::pair<std::string, int>, std::size_t> places_;  // in components_
  // The present stretch of one component: its last operation so far.
  ComparedOperation last_;
  std::vector<float> first_actions_, second_actions_;
  Difference actions_;
};

// `device` and `against` are prepared with the same weights and make the same calls. `device`
// comes first: its results are judged, those of `against` are what is expected.
struct LockstepDevices {
  std::string device, against;  // which, and why
};
LockstepDevices compare_devices(const CheckpointData& checkpoint, const DeviceRequest& device,
                                const DeviceRequest& against, std::span<const NetworkCall> calls,
                                const std::function<void(const Progress&)>& progress,
                                Comparison& comparison);

}  // namespace pi0
