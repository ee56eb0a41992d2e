#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/adapters/adapters.h"
#include "checkpoint/weights/weight_files.h"
#include "doctor/checks.h"
#include "doctor/value_summary.h"
#include "files/json.h"

namespace pi0 {
namespace {

bool is_zero(const SafeTensors& file, const std::string& name, const SafeTensor& tensor) {
  const HostTensor values = mapped_tensor(file, name, tensor);
  const ValueSummary summary = summarise(values, 0, values.size());
  return summary.constant() && summary.least == 0;
}

}  // namespace

Findings adapter_findings(const CheckpointData& checkpoint) {
  const std::filesystem::path file = checkpoint.directory / "adapter_config.json";
  const AdapterConfig config = parse_adapter_config(read_json(file), file.string());
  Adapters adapters = open_adapters(checkpoint.directory, config);
  fit_adapters(adapters, config, checkpoint.model);
  const auto changes = [&](const auto& entry) {
    const auto& [name, pair] = entry;
    return pair.scale != 0 && !is_zero(*adapters.file, name, *pair.b);
  };
  const auto& pairs = adapters.low_rank;
  if (pairs.empty() || std::any_of(pairs.begin(), pairs.end(), changes)) {
    return {{Severity::kOk, "adapters", checkpoint.adapters}};
  }
  return {
      {Severity::kRefuse, "adapters",
       fmt::format("lora_B, or its scale, is 0 in all {} layers that have adapters", pairs.size()),
       "that is how they begin: no layer was trained, and each acts as the base's",
       "take the adapters that training left, and look in its log whether it froze or lost "
       "them"}};
}

}  // namespace pi0
