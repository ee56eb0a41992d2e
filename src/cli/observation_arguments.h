// Arguments that several verbs share: an observation, and how it is sampled.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/npy.h"
#include "pi0/policy.h"

namespace pi0 {

struct ObservationArguments {
  std::vector<std::string> images;  // CAMERA=FILE
  std::string state;
  std::optional<std::string> prompt;  // may be empty, but not left out
  std::filesystem::path noise;

  bool given() const { return !images.empty() || !state.empty() || prompt.has_value(); }
};

// Adds --image, --state, --prompt.
void add_observation_options(CLI::App& verb, ObservationArguments& arguments);

// Adds --steps, --seed, --noise.
void add_sample_options(CLI::App& verb, ObservationArguments& arguments, SampleOptions& sample);

// Throws Error naming the argument and what is wrong with it.
Observation read_observation(const ObservationArguments& arguments);

// What --noise names, if it was given; before the long part, which says what shape it must have.
std::optional<NpyArray> read_noise_argument(const ObservationArguments& arguments);
// Its values. Throws Error (kInvalidInput) naming the file when its shape is not `expected`.
std::vector<float> fitting_noise(const NpyArray& noise, const std::filesystem::path& file,
                                 const std::vector<std::int64_t>& expected);

}  // namespace pi0
