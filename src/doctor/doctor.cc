#include "doctor/doctor.h"

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "doctor/checks.h"
#include "doctor/sample_check.h"
#include "doctor/ways_out.h"
#include "pi0/error.h"
#include "policy/options.h"
#include "policy/readiness.h"

namespace pi0 {
namespace {

std::vector<DataSample> read_samples(const OwnData& data, const CheckpointData& checkpoint) {
  std::vector<DataSample> samples;
  if (!data.recording.empty()) {
    samples.push_back(sample_of(read_recording(data.recording, checkpoint)));
  }
  if (!data.data_sample.empty()) samples.push_back(read_data_sample(data.data_sample));
  for (const DataSample& sample : samples) require_fitting(sample, checkpoint.action_dims);
  return samples;
}

// Before the long part begins: throws Error where an observation does not fit.
void check_observations(const std::vector<DataSample>& samples, const Checkpoint& checkpoint) {
  for (const DataSample& sample : samples) {
    for (const Moment& moment : sample.moments) {
      try {
        checkpoint.check(moment.observation);
      } catch (const Error& error) {
        throw Error(error.code(), sample.where + ": " + error.what());
      }
    }
  }
}

Findings predictions(const std::vector<DataSample>& samples, const Policy& policy,
                     const std::function<void(const Progress&)>& progress) {
  Findings findings;
  for (const DataSample& sample : samples) {
    Findings more = sample_findings(policy, sample, progress);
    findings.insert(findings.end(), more.begin(), more.end());
  }
  return findings;
}

}  // namespace

Findings examine(const std::filesystem::path& directory, const CheckpointOptions& options,
                 const DeviceOptions& device, const OwnData& data) {
  const Inspection inspection = inspect_checkpoint(directory, overrides_of(options));
  const CheckpointData& checkpoint = inspection.checkpoint;
  const std::vector<DataSample> samples = read_samples(data, checkpoint);
  const Readiness readiness = readiness_of(inspection, options, device);
  std::optional<Checkpoint> opened;
  if (!samples.empty() && readiness.refused.empty()) {
    check_observations(samples, opened.emplace(Checkpoint::open(directory, options)));
  }
  Findings findings;
  const auto add = [&](const char* subject, auto&& check) {
    try {
      Findings more = check();
      findings.insert(findings.end(), std::make_move_iterator(more.begin()),
                      std::make_move_iterator(more.end()));
    } catch (const Error& error) {
      findings.push_back(
          {Severity::kWarning, subject, error.what(), "it could not be looked at", kCopyAgain});
    }
  };
  add("pi0 run", [&] { return readiness_findings(inspection, readiness); });
  add("tensors", [&] { return tensor_findings(inspection.tensors); });
  if (!checkpoint.adapters.empty()) {
    add("adapters", [&] { return adapter_findings(checkpoint); });
  }
  if (!inspection.network_alone) {
    add("statistics", [&] { return statistics_findings(checkpoint); });
    add("cameras", [&] { return camera_findings(checkpoint); });
  }
  add("chunk", [&] { return chunk_findings(checkpoint); });
  if (!readiness.tokenizer.empty()) {
    add("tokenizer", [&] { return tokenizer_findings(checkpoint.model, readiness.tokenizer); });
  }
  if (checkpoint.weights != nullptr) {
    add("weights",
        [&] { return weight_findings(checkpoint.model, *checkpoint.weights, device.progress); });
  }
  if (!samples.empty()) {
    add("predictions", [&] {
      if (!opened) opened = Checkpoint::open(directory, options);  // which says why not
      return predictions(samples, opened->load(device), device.progress);
    });
  }
  return findings;
}

}  // namespace pi0
