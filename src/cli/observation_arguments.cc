#include "cli/observation_arguments.h"

#include "cli/inputs.h"
#include "cli/policy_arguments.h"
#include "device/host_tensor.h"

namespace pi0 {

void add_observation_options(CLI::App& verb, ObservationArguments& arguments) {
  verb.add_option("--image", arguments.images,
                  "A camera's picture, PNG or JPEG; once for each camera. CAMERA is the "
                  "checkpoint's name (`pi0 info` lists them)")
      ->type_name("CAMERA=FILE")
      ->allow_extra_args(false);
  verb.add_option("--state", arguments.state,
                  "Joint state in the robot's own units: 0.1,0.2,… or a .json or .npy file")
      ->type_name("VALUES|FILE");
  verb.add_option_function<std::string>(
          "--prompt", [&arguments](const std::string& text) { arguments.prompt = text; },
          "The instruction; \"\" where the policy was trained without")
      ->type_name("TEXT");
}

void add_sample_options(CLI::App& verb, ObservationArguments& arguments, SampleOptions& sample) {
  verb.add_option("--steps", sample.steps,
                  "Denoising (Euler) steps; default: the checkpoint's, usually 10")
      ->type_name("N")
      ->check(whole_number(1));
  CLI::Option* seed =
      verb.add_option_function<std::uint64_t>(
              "--seed", [&sample](const std::uint64_t& value) { sample.seed = value; },
              "Seed of the noise; without it the noise is new at every run")
          ->type_name("N")
          ->check(seed_number());
  verb.add_option("--noise", arguments.noise,
                  "The noise itself, .npy [action horizon, action width] (x at t = 1)")
      ->type_name("FILE.npy")
      ->excludes(seed);
}

Observation read_observation(const ObservationArguments& arguments) {
  Observation observation;
  for (const std::string& argument : arguments.images) {
    const auto [camera, file] = parse_image_argument(argument);
    if (observation.images.count(camera) != 0) {
      throw Error(ErrorCode::kInvalidInput, "--image " + camera + ": given twice");
    }
    observation.images[camera] = load_image(file);
  }
  if (!arguments.state.empty()) observation.state = parse_state(arguments.state);
  observation.prompt = arguments.prompt;
  return observation;
}

std::optional<NpyArray> read_noise_argument(const ObservationArguments& arguments) {
  if (arguments.noise.empty()) return std::nullopt;
  return read_noise(arguments.noise);
}

std::vector<float> fitting_noise(const NpyArray& noise, const std::filesystem::path& file,
                                 const std::vector<std::int64_t>& expected) {
  if (noise.shape != expected) {
    throw Error(ErrorCode::kInvalidInput, file.string() + ": shape " + shape_text(noise.shape) +
                                              ", expected " + shape_text(expected));
  }
  return noise.values;
}

}  // namespace pi0
