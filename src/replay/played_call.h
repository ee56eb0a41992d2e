// What became of a recorded call when it was played, and whether that is what it gave then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/recorded_call.h"

namespace pi0 {

enum class Verdict {
  kEqual,    // bit for bit; or it fails now as it failed then, with an error of the same code
  kClose,    // as near as its devices' arithmetic lets it be
  kDiffers,  // or it gave actions only then, or only now
  kNotCompared,
};

struct PlayedCall {
  std::uint64_t number = 0;
  std::uint64_t client = 0;
  Verdict verdict = Verdict::kNotCompared;
  std::optional<double> correlation = {};         // Pearson's; none: there were not two of them
  std::optional<double> largest_difference = {};  // of actions, in the robot's own units
  std::optional<double> then_ms = {}, now_ms = {};
  std::string why = {};     // of kNotCompared; of kDiffers, where the numbers do not say it
  std::string device = {};  // that computed it now
};

struct Tolerances {
  // Of fp32 from fp32, times the largest action where that is above 1. 0: bit for bit, whatever
  // they compute in.
  double difference = 1e-4;
  // Where one of the two devices computes in less than fp32, calls are judged by correlation, and
  // their actions by what the network's outputs make of them; empty: with
  // NetworkInfo::least_correlation, the lesser of the two's.
  std::optional<double> least_correlation = {};
};

// What a call gave this time.
struct Outcome {
  std::vector<float> outputs = {};  // as RecordedCall has them; may be empty: they are not known
  std::vector<float> actions = {};
  double least_correlation = 0;  // of the device, as NetworkInfo has it
  // In place of all that, as RecordedCall has them; a sentence without a code: no answer came.
  std::string error_code = {}, error = {};
};

// Correlation is that of the network's output with the noise taken off, which both have in common;
// without outputs, of the actions. It says nothing of how actions are un-normalised, which is
// affine in each dimension: the recorded outputs and actions tell by how much. With outputs, the
// actions have to differ by what that makes of the outputs' difference, and not at all where those
// are equal; without, by no more than it makes of the least correlation. Sets all but the latencies
// and the device.
PlayedCall judge(const RecordedCall& recorded, const Outcome& now, const Tolerances& tolerances);

// Whether an error of that code says nothing of what was asked: "busy", "stale". Such a call is not
// compared.
bool is_circumstance(std::string_view code);

PlayedCall not_compared(const RecordedCall& recorded, std::string why);

}  // namespace pi0
