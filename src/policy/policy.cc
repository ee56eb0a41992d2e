#include "pi0/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "policy/batch_options.h"
#include "policy/kept_observation.h"
#include "policy/last_chunk.h"
#include "policy/options.h"
#include "policy/pipeline.h"
#include "runtime/devices.h"
#include "runtime/guidance.h"
#include "runtime/held.h"
#include "runtime/loaded_network.h"
#include "runtime/pack_input.h"
#include "runtime/stopwatch.h"

namespace pi0 {
namespace {

std::vector<std::string> action_names(const CheckpointData& checkpoint) {
  if (!checkpoint.action_names.empty()) return checkpoint.action_names;
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(checkpoint.action_dims));
  for (int i = 0; i < checkpoint.action_dims; ++i) names.push_back("action_" + std::to_string(i));
  return names;
}

PolicyInfo describe(const CheckpointData& checkpoint) {
  PolicyInfo info;
  info.kind = checkpoint.model.kind == ModelKind::kPi0 ? "pi0" : "pi05";
  info.family = checkpoint.family == Family::kLerobot ? "lerobot" : "openpi";
  for (const Camera& camera : checkpoint.cameras) {
    info.cameras.push_back({camera.feature, camera.name, camera.empty});
  }
  info.rename_map = checkpoint.rename_map;
  info.state_dims = checkpoint.state_dims;
  info.action_dims = checkpoint.action_dims;
  info.action_horizon = checkpoint.model.action_horizon;
  info.n_action_steps = checkpoint.n_action_steps;
  info.num_steps = checkpoint.model.num_steps;
  info.action_names = action_names(checkpoint);
  info.adapt_to_pi = checkpoint.adapt_to_pi;
  const std::vector<bool>& relative = checkpoint.relative_actions;
  info.relative_actions = std::find(relative.begin(), relative.end(), true) != relative.end();
  if (checkpoint.adapt_to_pi) {
    info.action_units = "radians, grippers from 0 (closed) to 1 (open)";  // policy/aloha.h
  }
  info.warnings = checkpoint.warnings;
  return info;
}

}  // namespace

struct Checkpoint::Impl {
  explicit Impl(Pipeline made)
      : pipeline(std::make_shared<const Pipeline>(std::move(made))),
        info(describe(pipeline->checkpoint())),
        network(network_info(pipeline->checkpoint().model)) {}

  std::shared_ptr<const Pipeline> pipeline;
  PolicyInfo info;
  NetworkInfo network;
};

// What a policy's sessions share.
struct PolicyCore {
  PolicyCore(const Checkpoint::Impl& checkpoint, const DeviceOptions& options)
      : pipeline(checkpoint.pipeline),
        info(checkpoint.info),
        devices(each_device(options)),
        network(load_on_each(pipeline->checkpoint(), devices)) {
    const std::vector<std::string>& of_network = network.info().warnings;
    info.warnings.insert(info.warnings.end(), of_network.begin(), of_network.end());
  }

  std::shared_ptr<const Pipeline> pipeline;
  PolicyInfo info;
  std::vector<DeviceOptions> devices;  // that the network is on
  Network network;
};

struct Session::Impl {
  Impl(std::shared_ptr<const PolicyCore> policy, NetworkSession session)
      : core(std::move(policy)), network(std::move(session)) {}

  struct Prepared {
    PreparedObservation input;
    double ms = 0;
  };
  struct Prefetched {
    KeptObservation observation;
    Prepared prepared;
  };
  Prepared prepare(const Observation& observation) const {
    const Stopwatch watch;
    Prepared prepared{core->pipeline->prepare(observation), 0};
    prepared.ms = watch.elapsed_ms();
    return prepared;
  }
  // As it was prefetched, or anew.
  Prepared take(const Observation& observation) {
    const auto found = std::find_if(
        prefetched.begin(), prefetched.end(),
        [&](const Prefetched& earlier) { return earlier.observation.says(observation); });
    if (found == prefetched.end()) return prepare(observation);
    Prepared prepared = std::move(found->prepared);
    prefetched.erase(found);
    return prepared;
  }

  void prefetch(const Observation& observation) {
    // More than the present call's and the next one's are nobody's any more.
    while (prefetched.size() > 1) prefetched.pop_front();
    Prepared prepared = prepare(observation);
    prefetched.push_back({KeptObservation(observation), std::move(prepared)});
    network.prefetch(prefetched.back().prepared.input.input);
  }

  ActionChunk infer(const Observation& observation, SampleOptions options) {
    const Pipeline& pipeline = *core->pipeline;
    const std::optional<RealTimeChunking> rtc =
        options.rtc && options.rtc->executed ? options.rtc : std::nullopt;
    const int dims = core->info.action_dims;
    const bool continues = rtc && !last.actions.empty();
    if (rtc) {
      require_continuable(*rtc, pipeline,
                          continues ? rows_of(last, dims) : core->info.action_horizon,
                          observation.state.size());
    }
    Observation ahead;  // of `observation`, with the state that the chunk will begin from
    const bool rolled = continues && rtc->roll_state_forward && rtc->inference_delay > 0;
    if (rolled) {
      const std::span<const float> out = sent(last, dims, takeover_of(*rtc).next - 1);
      ahead = observation;
      ahead.state.assign(out.begin(), out.end());
    }
    const Observation& seen = rolled ? ahead : observation;
    Prepared prepared = take(seen);
    std::vector<std::string> warnings;
    if (rtc) {
      RealTimeChunking held = *rtc;
      if (continues && rtc->mode == RtcMode::kTrained && !rtc->roll_state_forward) {
        held.inference_delay = held_rows(*rtc, rows_of(last, dims),
                                         core->network.info().rtc_training_max_delay, warnings);
      }
      options.rtc = towards_left_over(last, held, pipeline, seen.state);
    }

    ActionChunk chunk;
    std::vector<float> actions =
        network.sample_actions(prepared.input.input, options, &chunk.timing);
    chunk.timing.preprocess_ms = prepared.ms;
    chunk.timing.total_ms += prepared.ms;
    chunk.warnings = std::move(prepared.input.warnings);
    chunk.warnings.insert(chunk.warnings.end(), warnings.begin(), warnings.end());
    chunk.actions = pipeline.finish(actions, seen.state);
    chunk.horizon = core->info.action_horizon;
    chunk.dims = core->info.action_dims;
    chunk.n_action_steps = core->info.n_action_steps;
    chunk.names = core->info.action_names;
    chunk.ranges = pipeline.ranges(seen.state);
    LastChunk now{
        .actions = chunk.actions, .model_actions = std::move(actions), .state = seen.state};
    if (continues) {
      chunk.seam = seam_between(last, *rtc, chunk);
      require_within_limits(*chunk.seam, *rtc, chunk.names);
      const std::span<const float> out = sent(last, dims, takeover_of(*rtc).next - 1);
      now.begun = chunk.seam->row;
      now.preceding.assign(out.begin(), out.end());
    }
    last = std::move(now);
    return chunk;
  }

  std::shared_ptr<const PolicyCore> core;
  NetworkSession network;
  std::deque<Prefetched> prefetched;
  LastChunk last;
};

struct Policy::Impl {
  explicit Impl(std::shared_ptr<const PolicyCore> of_policy) : core(std::move(of_policy)) {
    for (NetworkSession& session : LoadedNetwork::session_on_each(core->network)) {
      sessions.emplace_back(core, std::move(session));
    }
  }

  std::vector<ActionChunk> infer(std::span<const Observation> observations,
                                 const SampleOptions& options) {
    BatchOptions batch(options, observations.size(), core->network.info());
    std::vector<ActionChunk> chunks(observations.size());
    LastChunk last;
    share_out(observations.size(), core->devices, [&](const SharedCall& shared) {
      Session::Impl& session = sessions[shared.device];
      if (shared.next) session.prefetch(observations[*shared.next]);
      chunks[shared.call] = session.infer(observations[shared.call], batch.of(shared));
      if (shared.call + 1 == observations.size()) last = session.last;
    });
    if (!observations.empty()) sessions.front().last = std::move(last);  // as if there were one
    return chunks;
  }

  std::shared_ptr<const PolicyCore> core;
  std::mutex mutex;
  std::deque<Session::Impl> sessions;  // of the policy's own calls, one on each device
};

std::span<const float> ActionChunk::row(int step) const {
  if (step < 0 || step >= horizon) {
    throw Error(ErrorCode::kInvalidInput, "row " + std::to_string(step) +
                                              " of a chunk of actions, expected one of its " +
                                              std::to_string(horizon) + ", counted from 0");
  }
  return std::span(actions).subspan(static_cast<std::size_t>(step) * dims, dims);
}

Policy::Policy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Policy::Policy(Policy&&) noexcept = default;
Policy& Policy::operator=(Policy&&) noexcept = default;
Policy::~Policy() = default;

Checkpoint::Checkpoint(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Checkpoint Checkpoint::open(const std::filesystem::path& directory,
                            const CheckpointOptions& options) {
  return Checkpoint(std::make_shared<const Impl>(
      Pipeline(open_checkpoint(directory, overrides_of(options)), options)));
}

const PolicyInfo& Checkpoint::info() const { return impl_->info; }
const NetworkInfo& Checkpoint::network() const { return impl_->network; }

std::vector<std::string> Checkpoint::check(const Observation& observation,
                                           const std::optional<RealTimeChunking>& rtc) const {
  const Pipeline& pipeline = *impl_->pipeline;
  std::vector<std::string> warnings = pipeline.prepare(observation).warnings;
  if (rtc && rtc->executed) {
    const int rows = std::max(*rtc->executed, impl_->info.action_horizon);  // the session knows
    require_continuable(*rtc, pipeline, rows, observation.state.size());
    require_rtc_fits(towards_left_over({}, *rtc, pipeline, observation.state), impl_->network);
  } else if (rtc) {
    require_rtc_fits(*rtc, impl_->network);
  }
  return warnings;
}

Policy Checkpoint::load(const DeviceOptions& options) const {
  return Policy(
      std::make_unique<Policy::Impl>(std::make_shared<const PolicyCore>(*impl_, options)));
}

Policy Policy::load(const std::filesystem::path& checkpoint, const DeviceOptions& device,
                    const CheckpointOptions& options) {
  return Checkpoint::open(checkpoint, options).load(device);
}

Policy::Impl& Policy::impl() const { return held(impl_, "Policy", "policy", "load anew"); }

const PolicyInfo& Policy::info() const { return impl().core->info; }
const Network& Policy::network() const { return impl().core->network; }

Session Policy::session() const {
  const std::shared_ptr<const PolicyCore>& core = impl().core;
  return Session(std::make_unique<Session::Impl>(core, core->network.session()));
}

ActionChunk Policy::infer(const Observation& observation, const SampleOptions& options) const {
  Impl& own = impl();
  const std::lock_guard lock(own.mutex);
  return own.sessions.front().infer(observation, options);
}

std::vector<ActionChunk> Policy::infer(std::span<const Observation> observations,
                                       const SampleOptions& options) const {
  Impl& own = impl();
  const std::lock_guard lock(own.mutex);
  return own.infer(observations, options);
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Session::Impl& Session::impl() const { return held(impl_, "Session", "session", "make another"); }

ActionChunk Session::infer(const Observation& observation, const SampleOptions& options) {
  return impl().infer(observation, options);
}

void Session::prefetch(const Observation& next) { impl().prefetch(next); }

const LastChunk& Session::last_chunk() const { return impl().last; }

void Session::set_last_chunk(LastChunk last) {
  impl().last = completed(std::move(last), *impl().core->pipeline);
}

}  // namespace pi0
