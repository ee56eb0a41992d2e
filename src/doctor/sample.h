// A few of a robot's own observations, each with the actions that followed it: docs/doctor.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pi0/observation.h"
#include "verify/recording.h"

namespace pi0 {

struct Moment {
  Observation observation;
  std::vector<float> noise = {};    // x at t = 1; empty: to be drawn
  std::vector<float> actions = {};  // [rows, dims], in the robot's units
};

struct DataSample {
  std::string where;
  int dims = 0;                 // of an action
  std::vector<Moment> moments;  // at least one
};

// Reads what tools/dataset_sample.py writes. Throws Error (kIo, kInvalidInput) naming the file and
// what does not fit, values that are not finite among it.
DataSample read_data_sample(const std::filesystem::path& path);
// The same from a parsed file.
DataSample parse_data_sample(const SafeTensors& file);

// Of a whole-way recording, those cases that hold `expert_actions`: what followed, beside what
// PyTorch predicted. Throws Error (kInvalidInput) where none does, or one was read with options of
// its own.
DataSample sample_of(const PyTorchRecording& recording);

}  // namespace pi0
