#include "verify/comparison.h"

#include <algorithm>
#include <cmath>

#include "device/registry/registry.h"
#include "model/components.h"
#include "runtime/loaded_network.h"
#include "runtime/memory.h"
#include "runtime/noise.h"

namespace pi0 {
namespace {

// Values that are not finite have no correlation: as bad as none.
Difference judge(std::span<const float> expected, std::span<const float> actual) {
  Difference difference = compare(expected, actual);
  if (!std::isfinite(difference.correlation)) difference.correlation = 0;
  return difference;
}

// `from` less `subtracted`, element by element.
std::vector<float> less(const std::vector<float>& from, std::span<const float> subtracted) {
  std::vector<float> result(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) result[i] = from[i] - subtracted[i];
  return result;
}

void keep_worst(const ComparedOperation& found, ComparedOperation& worst) {
  if (worst.operation.empty() || found.difference.correlation < worst.difference.correlation) {
    worst = found;
  }
}

}  // namespace

void Comparison::observe(const LockstepResult& result) {
  if (last_.component != result.component || last_.index != result.index) end_component();
  last_ = {std::string(result.operation), result.component, result.index, result.shape,
           judge(result.second, result.first)};
  keep_worst(last_, component_of(result).worst);
  if (result.component == component::kActions) {
    first_actions_.assign(result.first.begin(), result.first.end());
    second_actions_.assign(result.second.begin(), result.second.end());
  }
}

ComparedComponent& Comparison::component_of(const LockstepResult& result) {
  const auto [place, is_new] =
      places_.try_emplace({result.component.name, result.index}, components_.size());
  if (is_new) components_.emplace_back();
  return components_[place->second];
}

void Comparison::end_component() {
  if (last_.operation.empty()) return;
  keep_worst(last_, components_[places_.at({last_.component.name, last_.index})].last);
  last_ = {};
}

void Comparison::end_call(std::span<const float> noise) {
  end_component();
  const Difference difference = judge(less(second_actions_, noise), less(first_actions_, noise));
  if (difference.correlation <= actions_.correlation) actions_ = difference;
}

double Comparison::worst_pcc() const {
  double worst = 1;
  for (const ComparedComponent& component : components_) {
    worst = std::min(worst, component.last.difference.correlation);
  }
  return worst;
}

LockstepDevices compare_devices(const CheckpointData& checkpoint, const DeviceRequest& device,
                                const DeviceRequest& against, std::span<const NetworkCall> calls,
                                const std::function<void(const Progress&)>& progress,
                                Comparison& comparison) {
  OpenDevice first = open_device(device);
  OpenDevice second = open_device(against);
  for (const OpenDevice* opened : {&first, &second}) {
    require_memory(checkpoint, *opened, 0);
  }
  LockstepDevices devices{first.description, second.description};
  OpenDevice both;
  both.description = devices.device + " against " + devices.against;
  both.device = make_lockstep_device(std::move(first.device), std::move(second.device), comparison);
  const Network network = load_network(checkpoint, std::move(both), progress);
  for (const NetworkCall& call : calls) {
    SampleOptions options = call.options;
    options.progress = progress;
    if (options.noise.empty()) {  // the same for both, and known here
      options.noise.resize(static_cast<std::size_t>(checkpoint.model.action_horizon) *
                           checkpoint.model.action_dim);
      draw_noise(options.seed.value_or(fresh_seed()), options.noise);
    }
    network.sample_actions(call.input, options);
    comparison.end_call(options.noise);
  }
  return devices;
}

}  // namespace pi0
