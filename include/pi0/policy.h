// A robot policy: an observation in, a chunk of actions out.
//
//   #include <pi0/policy.h>
//
//   pi0::Policy policy = pi0::Policy::load("checkpoint/", {.device = "cpu", .dtype = "int8"});
//   pi0::Observation observation;
//   observation.images["base_0_rgb"] = pi0::load_image("front.png");
//   observation.views["left_wrist_0_rgb"] = {  // a camera's own buffer, each row in 2048 bytes
//       .data = frame.data, .height = 480, .width = 640, .row_stride = 2048};
//   observation.state = {0.1f, 0.2f, …};
//   observation.prompt = "open the drawer";
//   pi0::ActionChunk chunk = policy.infer(observation);
//   for (int t = 0; t < chunk.n_action_steps; ++t) robot.execute(chunk.row(t));
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pi0/checkpoint.h"
#include "pi0/error.h"
#include "pi0/export.h"
#include "pi0/network.h"
#include "pi0/observation.h"

namespace pi0 {

// Where a dimension's actions lay in training, as the checkpoint's statistics have it: from the
// least to the largest where those are its statistics (MIN_MAX), between the two quantiles that
// they are (QUANTILES: 1st and 99th percentile, QUANTILE10: 10th and 90th), within two standard
// deviations of the mean (MEAN_STD). In the robot's own units; of a dimension that is predicted
// relative to the state, seen from the state that was given. A prediction may leave it.
struct PI0_API ActionRange {
  float low = 0;
  float high = 0;  // as `low` where the statistics tell none: none there, or a single value

  bool known() const { return low < high; }
};

// Where a robot goes over from the last chunk, A, to this one, B: `executed` rows of A had gone by
// at B's observation, `delay` more go out while B is computed, then B goes on at its row `row`.
// With n = executed + delay, and A holding its last action beyond its end:
//   jump            = B[row] - A[n]: two plans for the same moment
//   velocity_change = (B[row] - A[n - 1]) - (A[n - 1] - A[n - 2]), per control step
// In the units of ActionChunk::actions, one a dimension. What went out before A's own first row was
// of the chunk before it; a session's first chunk begins at rest.
struct PI0_API Seam {
  int delay = 0;  // control steps from the observation, as RealTimeChunking::inference_delay had it
  int row = 0;    // of this chunk, the first to go out: `delay`, or 0 where the state was rolled
                  // forward
  std::vector<float> jump = {};
  std::vector<float> velocity_change = {};
};

// Predicted actions, [horizon, dims] in the robot's own units, row-major. Row t is meant for t
// control steps after the observation (after Seam::delay more where the state was rolled forward:
// RealTimeChunking::roll_state_forward); how long a step is belongs to the robot, a checkpoint does
// not say it.
struct PI0_API ActionChunk {
  int horizon = 0;
  int dims = 0;
  int n_action_steps = 0;  // how many rows the checkpoint's robot executes before it looks again
  std::vector<float> actions = {};
  std::vector<std::string> names = {};     // one a dimension
  std::vector<ActionRange> ranges = {};    // one a dimension, or none: raw, no statistics
  Timing timing = {};                      // milliseconds
  std::vector<std::string> warnings = {};  // a masked camera, a prompt that was cut
  std::optional<Seam> seam = {};           // where it continues a chunk: RealTimeChunking::executed

  // [dims], of a step from 0 to horizon - 1; throws Error (kInvalidInput) for another.
  std::span<const float> row(int step) const;
};

// The chunk that a session's next one goes on from, where it is asked to
// (RealTimeChunking::executed).
struct PI0_API LastChunk {
  std::vector<float> actions = {};  // [rows, dims], as ActionChunk::actions; none: there was none
  // Of a session's own, so that another one can go on from it; all or none of them.
  std::vector<float> model_actions = {};  // [rows, action_dim], as the network gave them
  std::vector<float> state = {};          // the robot's, from which they were predicted
  std::vector<float> preceding = {};      // [dims], what goes out before row `begun`; or none
  int begun = 0;                          // the first row that goes out
};

// One robot's calls, one after another; see NetworkSession, of which it is the whole way: sessions
// of a policy share its network. One session is used by one thread at a time. Movable, not
// copyable; one that was moved from throws Error (kInvalidInput) when it is used.
class PI0_API Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // See Policy::infer.
  ActionChunk infer(const Observation& observation, const SampleOptions& options = {});

  // Before a call: what will be given to the call after it. It is prepared at once, and its images
  // go to a card while that call computes; pixels of views are copied, and where others lie there
  // at the call, those are used. Throws Error (kInvalidInput) where it does not fit.
  void prefetch(const Observation& next);

  // Of its last call; without actions before the first.
  const LastChunk& last_chunk() const;
  // What `RealTimeChunking::executed` counts from then on, in place of that: another session's, of
  // a policy of the same checkpoint, from which it then goes on as that would; actions alone, as a
  // file has them; or none: after an episode, say. Throws Error (kInvalidInput) where the sizes are
  // not this policy's, or a number is not finite.
  void set_last_chunk(LastChunk last);

 private:
  friend class Policy;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

// Movable, not copyable. Calls on one Policy are serialised; several Policies run side by side. One
// that was moved from throws Error (kInvalidInput) when it is used; it can be assigned to.
class PI0_API Policy {
 public:
  // Opens a checkpoint and loads it: Checkpoint::open(path, options).load(device). Throws Error;
  // see pi0/error.h. Nothing is left half loaded.
  static Policy load(const std::filesystem::path& checkpoint, const DeviceOptions& device = {},
                     const CheckpointOptions& options = {});

  Policy(Policy&&) noexcept;
  Policy& operator=(Policy&&) noexcept;
  ~Policy();

  const PolicyInfo& info() const;
  const Network& network() const;

  // To make calls beside the policy's own and other sessions'.
  Session session() const;

  // Throws Error (kInvalidInput) naming what in the observation or the options does not fit, kLimit
  // where the chunk is over a limit of RealTimeChunking, and what Network::sample_actions does.
  ActionChunk infer(const Observation& observation, const SampleOptions& options = {}) const;

  // The same for several, in their order, computed side by side where there are several devices.
  // `options.noise` then holds [observations, action_horizon, action_dim]; a seed gives each its
  // own noise, wherever it is computed.
  std::vector<ActionChunk> infer(std::span<const Observation> observations,
                                 const SampleOptions& options = {}) const;

 private:
  friend class Checkpoint;
  struct Impl;
  explicit Policy(std::unique_ptr<Impl> impl);
  Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pi0
