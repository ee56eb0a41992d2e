// docs/real-time-chunking.md's table: what guidance does to the seams of the trained policy.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <stdexcept>

#include "files/safetensors.h"
#include "pi0/policy.h"

namespace pi0 {
namespace {

constexpr int kSeeds = 4;

// Frames 5, 30 and 60 of an episode of each task.
std::vector<Observation> recorded_moments(const std::filesystem::path& directory) {
  const SafeTensors file = SafeTensors::open(directory / "recorded.safetensors");
  const auto tensor = [&](const std::string& name) -> const SafeTensor& {
    if (const SafeTensor* found = file.find(name)) return *found;
    throw std::runtime_error("no tensor " + name);
  };
  std::vector<Observation> moments;
  for (std::string prompt : {"open the drawer", "press the button", "close the drawer"}) {
    std::string episode = prompt;
    std::replace(episode.begin(), episode.end(), ' ', '_');
    for (const char* moment : {"0", "1", "2"}) {
      const std::string name = "episode." + episode + "." + moment;
      const SafeTensor& image = tensor(name + ".image");
      const SafeTensor& state = tensor(name + ".state");
      Observation observation{.state = std::vector<float>(4), .prompt = prompt};
      const auto* pixels = reinterpret_cast<const std::uint8_t*>(image.bytes.data());
      observation.images["base_0_rgb"] = {112, 112, {pixels, pixels + image.bytes.size()}};
      std::memcpy(observation.state.data(), state.bytes.data(), 4 * sizeof(float));
      moments.push_back(std::move(observation));
    }
  }
  return moments;
}

struct Spread {
  double sum = 0, largest = 0;
  int count = 0;
  void add(const std::vector<float>& values) {
    for (const float value : values) {
      sum += std::abs(value);
      largest = std::max<double>(largest, std::abs(value));
      ++count;
    }
  }
  double mean() const { return sum / count; }
  std::string text() const { return fmt::format("{:.3f}, {:.3f}", mean(), largest); }
};
struct Seams {
  Spread jump, velocity_change, planned;  // what the chunk before would have changed there itself
};

TEST(SeamTable, GuidanceShrinksTheSeamsOfTheTrainedPolicy) {
  const std::filesystem::path directory = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy";
  const Policy policy = Policy::load(directory, {.device = "cpu", .dtype = "fp32"});
  const std::vector<Observation> moments = recorded_moments(directory);
  std::vector<std::vector<float>> before;
  for (const Observation& moment : moments) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      before.push_back(policy.infer(moment, {.seed = seed}).actions);
    }
  }
  Session session = policy.session();
  const auto seams_with = [&](const RealTimeChunking& rtc) {
    Seams seams;
    for (std::size_t i = 0; i < before.size(); ++i) {
      session.set_last_chunk({.actions = before[i]});
      const ActionChunk chunk =
          session.infer(moments[i / kSeeds], {.seed = 100 + i % kSeeds, .rtc = rtc});
      seams.jump.add(chunk.seam->jump);
      seams.velocity_change.add(chunk.seam->velocity_change);
      std::vector<float> planned = chunk.seam->velocity_change;
      for (std::size_t dim = 0; dim < planned.size(); ++dim) planned[dim] -= chunk.seam->jump[dim];
      seams.planned.add(planned);
    }
    return seams;
  };
  std::cout << "| executed | delay | jump: free | guided | change of velocity: free | guided "
               "| as A had planned |\n|---|---|---|---|---|---|---|\n";
  for (const int executed : {0, 4, 8}) {
    for (const int delay : {0, 2, 4}) {
      RealTimeChunking rtc{.executed = executed, .inference_delay = delay};
      const Seams guided = seams_with(rtc);
      rtc.max_guidance_weight = 0;
      const Seams free = seams_with(rtc);
      std::cout << fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", executed, delay,
                               free.jump.text(), guided.jump.text(), free.velocity_change.text(),
                               guided.velocity_change.text(), free.planned.text());
      EXPECT_LT(guided.jump.mean(), free.jump.mean() / 5) << executed << ' ' << delay;
      EXPECT_LT(guided.velocity_change.mean(), free.velocity_change.mean() * 0.6)
          << executed << ' ' << delay;
    }
  }
}

}  // namespace
}  // namespace pi0
