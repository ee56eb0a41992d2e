#include "model/loader.h"

namespace pi0 {

HostTensor Loader::tensor(const std::string& name) const {
  HostTensor tensor = source_.tensor(name);
  require_finite(tensor);
  ++taken_;
  if (progress_) progress_(taken_);
  return tensor;
}

std::unique_ptr<LinearWeights> Loader::linear(const std::string& name, bool bias,
                                              const HeadShape* joined,
                                              WeightPrecision precision) const {
  const HostTensor weight = tensor(name + ".weight");
  if (!bias) return device_.prepare_linear(weight, nullptr, joined, precision);
  const HostTensor bias_tensor = tensor(name + ".bias");
  return device_.prepare_linear(weight, &bias_tensor, joined, precision);
}

std::unique_ptr<LinearWeights> Loader::modulation(const std::string& name) const {
  return device_.prepare_modulation(tensor(name + ".weight"), tensor(name + ".bias"));
}

std::unique_ptr<NormWeights> Loader::layer_norm(const std::string& name) const {
  return device_.prepare_layer_norm(tensor(name + ".weight"), tensor(name + ".bias"));
}

std::unique_ptr<NormWeights> Loader::rms_norm(const std::string& name) const {
  return device_.prepare_rms_norm(tensor(name + ".weight"));
}

}  // namespace pi0
