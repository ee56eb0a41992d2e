// A policy in a control loop of 50 Hz: while a chunk of actions is executed, a server computes the
// next one, which goes on from it (real-time chunking). The robot is one that is at once where it
// is told to be.
//
//   pi0 serve CHECKPOINT
//   build/examples/control_loop URL IMAGE "INSTRUCTION" SECONDS STATE…
#include <pi0/client.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <thread>

using Clock = std::chrono::steady_clock;
constexpr int kHz = 50;

int main(int argc, char** argv) try {
  if (argc < 5) {
    std::cerr << "usage: control_loop URL IMAGE \"INSTRUCTION\" SECONDS STATE…\n";
    return 2;
  }
  pi0::Client client({.url = argv[1], .call_timeout_s = 2});
  pi0::Observation observation;
  for (const std::string& camera : client.info().cameras) {
    observation.images[camera] = pi0::load_image(argv[2]);
  }
  observation.prompt = argv[3];
  for (int i = 5; i < argc; ++i) observation.state.push_back(std::strtof(argv[i], nullptr));
  const int steps = static_cast<int>(std::strtod(argv[4], nullptr) * kHz);

  pi0::ActionChunk chunk = client.infer(observation);
  int row = 0;  // of the chunk, the next to go out
  std::future<pi0::ServedChunk> next;
  int asked = 0;  // the step at which `next` was
  int chunks = 0, none = 0, slowest = 0;
  float seam = 0;
  std::vector<double> periods;  // milliseconds
  Clock::time_point tick = Clock::now(), before = tick;
  for (int step = 0; step < steps; ++step) {
    if (next.valid() && next.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
      try {
        pi0::ServedChunk arrived = next.get();
        const int late = std::min(step - asked, arrived.horizon);  // rows that have gone by
        for (int i = 0; i < arrived.dims && late < arrived.horizon; ++i) {
          const float goes_on = chunk.row(std::min(row, chunk.horizon - 1))[i];
          seam = std::max(seam, std::abs(arrived.row(late)[i] - goes_on));
        }
        slowest = std::max(slowest, late);
        chunk = std::move(arrived);
        row = late;
        ++chunks;
      } catch (const pi0::Error& error) {  // the rest of this chunk is still there
        std::cerr << "control_loop: " << error.what() << '\n';
      }
    }
    if (!next.valid() && row >= chunk.n_action_steps / 2) {
      pi0::ClientCall call{.hz = kHz};  // the server knows how long it takes
      call.sample.rtc.emplace().executed = row;
      call.sample.rtc->execution_horizon = chunk.n_action_steps;
      next = client.infer_async(observation, call);
      asked = step;
    }
    if (row < chunk.horizon) {
      const std::span<const float> action = chunk.row(row++);
      std::copy_n(action.begin(), std::min(action.size(), observation.state.size()),
                  observation.state.begin());  // robot.command(action)
    } else {
      ++none;  // it stays where it is
    }
    tick += std::chrono::microseconds(1'000'000 / kHz);
    std::this_thread::sleep_until(tick);
    const Clock::time_point now = Clock::now();
    periods.push_back(std::chrono::duration<double, std::milli>(now - before).count());
    before = now;
  }
  std::sort(periods.begin(), periods.end());
  const auto percentile = [&periods](double p) {
    return periods.empty() ? 0 : periods[static_cast<std::size_t>(p * (periods.size() - 1))];
  };
  std::cout << "period: P50 " << percentile(0.5) << " ms, P99 " << percentile(0.99) << " ms, max "
            << percentile(1) << " ms\n"
            << "chunks: " << chunks << ", there after at most " << slowest << " steps\n"
            << "without an action: " << none << " of " << steps << " steps\n"
            << "largest jump from chunk to chunk: " << seam << '\n';
} catch (const pi0::Error& error) {  // says what was wrong, found and expected
  std::cerr << "control_loop: " << error.what() << '\n';
  return 1;
}
