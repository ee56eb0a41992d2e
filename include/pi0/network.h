// The network alone, with prepared tensors, for those who have their own preprocessing. Most
// callers want pi0/policy.h, which does what surrounds it.
//
//   pi0::Network network = pi0::Network::load("checkpoint/");
//   std::vector<float> actions = network.sample_actions({.images = …, .tokens = …, .state = …});
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pi0/export.h"
#include "pi0/pixels.h"
#include "pi0/threads.h"

namespace pi0 {

// How far a load or a call has come: `stage` is a word or two, `done` of `total` in its units.
//
// A function that is given one may throw, to cancel: what it throws comes out of the load or the
// call as it is. Of a load nothing is left; after a call the network can be called again, and gives
// what one that was never cancelled would. It is asked at every weight of a load; in a call at
// every layer of vision and prefix and every Euler step, or, where a card replays what it has
// recorded (from a shape's third call on), at the beginning of each of the three.
struct PI0_API Progress {
  std::string_view stage = {};
  std::size_t done = 0;
  std::size_t total = 0;
};

struct PI0_API DeviceOptions {
  // "auto" (a Tenstorrent card where there is one, else the CPU), "ttnn" (the first card), "ttnn:1"
  // (card 1), "cpu", or another name of available_devices() (pi0/device.h): "ttnn-emulated" (an
  // n150 on the CPU), "ttnn-emulated:p150", "reference".
  //
  // Several of one kind, "ttnn:0,ttnn:1": the network is loaded on each. Sessions are made on the
  // one that has the fewest, and the observations of a batch (Policy::infer) are shared out among
  // all; a single call takes as long as on one.
  std::string device = "auto";

  // Up to `cache`: for devices that have it among DeviceInfo::options, which is the CPU; another
  // refuses it (Error, kUnsupported).

  // What is multiplied in: "bf16" (also where it is empty), "int8" or "fp32", for any checkpoint's
  // own type.
  std::string dtype = {};
  int threads = 0;  // 0: one a core. More than there are cores are refused.
  // The cores that the threads run on, by number, one a thread and no core twice; empty: wherever
  // the system puts them. The first is the calling thread's, which is the program's own and is not
  // moved. Of several devices as many for each.
  std::vector<int> affinity = {};
  // The real-time priority (SCHED_FIFO, 1 to 99) of the threads that libpi0 starts; 0:
  // that of the thread that loads. The calling thread keeps its own. Error (kUnsupported) where the
  // system does not allow it.
  int priority = 0;
  // Threads of the program in place of threads that libpi0 starts; with none of the
  // three above.
  std::shared_ptr<HostThreads> host_threads = {};
  // A directory where the weights are kept as they are prepared, so that the next load
  // takes seconds; empty: not kept. A file there that is damaged, or made from other weights, is
  // made anew, and NetworkInfo::warnings says so.
  std::filesystem::path cache = {};
  // The most memory that loading and running may take, of several devices together; 0: what the
  // machine has free. More than that is refused (Error, kOutOfMemory) before anything is allocated.
  std::uint64_t memory_limit_bytes = 0;
  // Called on the loading thread; may be empty, and may throw to cancel.
  std::function<void(const Progress&)> progress = {};
};

// An intermediate result of a call, under the name that recordings have (docs/recordings.md):
// "image_embeddings", "prefix_keys", "v_t". Only what is valid is there: masked cameras and padded
// tokens are never computed.
struct PI0_API Stage {
  std::string_view name = {};
  int index = 0;  // the layer (prefix_keys, prefix_values), the step (conditioning, v_t), else 0
  std::span<const std::int64_t> shape = {};
  std::span<const float> values = {};  // row-major; until the function that is given them returns
};

// How a chunk is held to the one before it: lerobot's RTCConfig.mode.
enum class RtcMode {
  kGuided,   // any network: towards it, more or less by row
  kTrained,  // one that was trained for it (NetworkInfo::rtc_training_max_delay): exactly
};

// How much of the chunk before is held to, from the row `inference_delay` on: lerobot's
// RTCAttentionSchedule.
enum class RtcSchedule {
  kLinear,  // falls in equal steps to 0 at the execution horizon
  kExp,     // that times expm1(that) / (e - 1)
  kOnes,    // 1 up to the execution horizon
  kZeros,   // 0 at once
};

// "guided" or "trained", and "LINEAR", "EXP", "ONES" or "ZEROS" in any case. Throw Error
// (kInvalidInput) naming `where` for another.
PI0_API RtcMode parse_rtc_mode(const std::string& text, const std::string& where);
PI0_API RtcSchedule parse_rtc_schedule(const std::string& text, const std::string& where);

// Real-time chunking as lerobot has it: the new chunk begins with what goes out while it is
// computed, and leaves it smoothly.
//
// The guided form (Black et al., arXiv 2506.07339): in each Euler step, with w a row's weight, v
// becomes v - min(g, max_guidance_weight) w (left over - (x - t v)), where g = (t / tau)
// (t² + tau²) / t², tau = 1 - t.
//
// The trained form (arXiv 2512.05964): before and after each step the first inference_delay rows of
// x are those of what is left over, and the network is told that they are at time 0. None of the
// three settings below `inference_delay` counts. Refused (Error, kInvalidInput): a network that was
// not trained for it, or not for so long a delay, and fewer rows left over than the delay; a
// session that is given `executed` takes as many rows as there are and as the training had, with a
// warning.
struct PI0_API RealTimeChunking {
  RtcMode mode = RtcMode::kGuided;
  // [rows, dims], normalised, as sample_actions gave it: of the chunk before, what had not been
  // executed when this observation was taken. Beyond its rows and dims there are zeros. Empty:
  // there was none, and nothing is held.
  std::vector<float> prev_chunk_left_over = {};
  int dims = 0;  // of it; 0: action_dim
  // Of a Session (pi0/policy.h), in place of these two: how many rows of its last chunk had gone by
  // when the observation was taken, so which row was the next to go out. What is left it knows; it
  // counts relative actions from the new state, and where fewer rows are left than go out during
  // the delay, the last action is held. Its first call has no chunk before it. Where there was one,
  // ActionChunk::seam tells how the two meet, guided or not.
  std::optional<int> executed = {};
  int inference_delay = 0;         // rows of it that go out before this call's chunk is there
  int execution_horizon = 10;      // rows of it that count at all
  float max_guidance_weight = 10;  // 0: nothing is guided
  RtcSchedule prefix_attention_schedule = RtcSchedule::kLinear;

  // With `executed` alone, as what follows.

  // The most that Seam::jump and Seam::velocity_change may be, in the units of
  // ActionChunk::actions: one number for all dimensions, or one a dimension; empty: any. Over it
  // infer throws Error (kLimit), and the session's last chunk is still the one before.
  std::vector<float> max_jump = {};
  std::vector<float> max_velocity_change = {};
  // VLASH (arXiv 2512.01031): the network is given the state that the robot will have when this
  // chunk begins to go out, which is the last action to go out before it, in place of the observed
  // one. Row 0 of the chunk is then for `inference_delay` steps after the observation and the first
  // to go out; what is left of the chunk before, and the rows that are held to it, count from
  // there. For policies whose actions are positions of just what their state tells, in its order
  // and units: only the number of dimensions can be checked. The first call, and one without a
  // delay, take the state as it is.
  bool roll_state_forward = false;
};

struct PI0_API SampleOptions {
  int steps = 0;                           // Euler steps; 0: as the checkpoint says
  std::optional<std::uint64_t> seed = {};  // of the noise; without one it is new at every call
  // [action_horizon, action_dim], x at t = 1; empty: drawn. Refused together with a seed.
  std::vector<float> noise = {};
  std::optional<RealTimeChunking> rtc = {};
  // Tell vision, prefix and denoising apart in Timing: a card is then waited for after each.
  bool time_stages = true;
  // Called on the calling thread, or, of a batch on several devices, on one at a time of the
  // threads that it is shared out to; may be empty, and may throw to cancel.
  std::function<void(const Progress&)> progress = {};
  // As `progress`, with each stage as it is computed: to compare it with another implementation's.
  // Takes time, and a card does not replay what it has recorded.
  std::function<void(const Stage&)> observe = {};
};

// Sizes that a caller needs for its tensors.
struct PI0_API NetworkInfo {
  int num_cameras = 0;  // image slots
  int image_size = 0;   // pixels, square
  int max_tokens = 0;   // of the prompt
  int vocab_size = 0;
  int state_dim = 0;       // as padded; 0 for pi0.5, which has the state in its prompt
  int action_dim = 0;      // as padded
  int action_horizon = 0;  // rows of a chunk
  int num_steps = 0;
  // The longest inference_delay that it was trained for, in rows; 0: RtcMode::kTrained is refused.
  int rtc_training_max_delay = 0;
  // Of a network on a device that computes in less than fp32: what (actions - noise) correlates
  // with fp32's at least. 0: it computes in fp32.
  double least_correlation = 0;
  std::vector<std::string> warnings = {};  // a cache that could not be used, and why
};

// What a call with that seed draws as its noise: [action_horizon, action_dim], the same everywhere.
PI0_API std::vector<float> draw_noise(std::uint64_t seed, const NetworkInfo& network);

struct PI0_API NetworkInput {
  // [cameras, 3, image_size, image_size] in [-1, 1] (kHwc: [cameras, image_size, image_size, 3]);
  // at most num_cameras.
  std::vector<float> images = {};
  PixelLayout layout = PixelLayout::kChw;  // kHwc is what devices take, and is not turned
  // A flag a camera, 0 where it is masked; empty: all are valid.
  std::vector<std::uint8_t> image_masks = {};
  // Token ids, BOS included; at most max_tokens.
  std::vector<std::int32_t> tokens = {};
  // A flag a token; empty: all are valid.
  std::vector<std::uint8_t> token_mask = {};
  // Normalised and padded with zeros: [state_dim]. pi0.5: empty, or ignored.
  std::vector<float> state = {};
};

// Where the milliseconds of a call went; 0 what was not asked for (SampleOptions::time_stages).
struct PI0_API Timing {
  double preprocess_ms = 0;  // decode-free host work: resize, tokenise, normalise
  double vision_ms = 0;      // SigLIP and projector, all cameras
  double prefix_ms = 0;      // Gemma over images and prompt
  double denoise_ms = 0;     // all Euler steps
  double total_ms = 0;
};

// Calls one after another: of a robot, say. What they need on the device beside the weights is the
// session's: their inputs and results, and what a card has recorded of their shapes, to replay it;
// the four shapes (cameras, tokens, steps) used last.
//
// Sessions share their network, which lives as long as they do; its calls on one device take turns,
// on whichever threads. One session is used by one thread at a time. Movable, not copyable; one
// that was moved from throws Error (kInvalidInput) when it is used.
class PI0_API NetworkSession {
 public:
  NetworkSession(NetworkSession&&) noexcept;
  NetworkSession& operator=(NetworkSession&&) noexcept;
  ~NetworkSession();

  // See Network::sample_actions.
  std::vector<float> sample_actions(const NetworkInput& input, const SampleOptions& options = {},
                                    Timing* timing = nullptr);

  // Before a call: what will be given to the call after it. Its images then go to a card while
  // that call computes; that call may be given others all the same. Throws Error (kInvalidInput)
  // where they do not fit.
  void prefetch(const NetworkInput& next);

 private:
  friend class Network;
  friend class LoadedNetwork;
  struct Impl;
  explicit NetworkSession(std::unique_ptr<Impl> impl);
  Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

// Movable, not copyable. Calls on one Network are serialised; several Networks run side by side.
// One that was moved from throws Error (kInvalidInput) when it is used; it can be assigned to.
class PI0_API Network {
 public:
  // `base`: of adapters, as in CheckpointOptions. Throws Error; see pi0/error.h.
  static Network load(const std::filesystem::path& checkpoint, const DeviceOptions& options = {},
                      const std::filesystem::path& base = {});

  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  const NetworkInfo& info() const;
  // The device that runs it, or each of them, and why: "reference (named)".
  const std::string& device() const;

  // [action_horizon, action_dim], normalised as in training. Throws Error (kInvalidInput) when a
  // tensor's size does not fit, a value is not finite, a token is not in the vocabulary, or
  // nothing valid is left, or both a seed and noise are given; kNotFinite where the network's own
  // values overflow; kIo where a file that it was loaded from has been written to since.
  std::vector<float> sample_actions(const NetworkInput& input, const SampleOptions& options = {},
                                    Timing* timing = nullptr) const;

  // To make calls beside the network's own and other sessions'.
  NetworkSession session() const;

 private:
  friend class LoadedNetwork;
  struct Impl;
  explicit Network(std::unique_ptr<Impl> impl);
  Impl& impl() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pi0
