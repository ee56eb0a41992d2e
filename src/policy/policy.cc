#include "pi0/policy.h"

#include "model/stopwatch.h"
#include "policy/network_impl.h"
#include "policy/options.h"
#include "policy/policy_loader.h"

namespace pi0 {
namespace {

std::vector<std::string> action_names(const Checkpoint& checkpoint) {
  if (!checkpoint.action_names.empty()) return checkpoint.action_names;
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(checkpoint.action_dims));
  for (int i = 0; i < checkpoint.action_dims; ++i) names.push_back("action_" + std::to_string(i));
  return names;
}

PolicyInfo describe(const Checkpoint& checkpoint) {
  PolicyInfo info;
  info.kind = checkpoint.model.kind == ModelKind::kPi0 ? "pi0" : "pi05";
  info.family = checkpoint.family == Family::kLerobot ? "lerobot" : "openpi";
  for (const Camera& camera : checkpoint.cameras) {
    info.cameras.push_back({camera.feature, camera.name, camera.empty});
  }
  info.state_dims = checkpoint.state_dims;
  info.action_dims = checkpoint.action_dims;
  info.action_horizon = checkpoint.model.action_horizon;
  info.n_action_steps = checkpoint.n_action_steps;
  info.num_steps = checkpoint.model.num_steps;
  info.action_names = action_names(checkpoint);
  info.warnings = checkpoint.warnings;
  return info;
}

}  // namespace

struct Policy::Impl {
  Impl(Pipeline made, const PolicyOptions& options)
      : pipeline(std::move(made)),
        info(describe(pipeline.checkpoint())),
        network(Network(std::make_unique<Network::Impl>(pipeline.checkpoint(), options))) {
    const std::vector<std::string>& of_network = network.info().warnings;
    info.warnings.insert(info.warnings.end(), of_network.begin(), of_network.end());
  }

  std::vector<ActionChunk> infer(std::span<const Observation> observations,
                                 const std::function<SampleOptions(std::size_t)>& options) const {
    std::vector<ActionChunk> chunks(observations.size());
    const auto prepare = [&](std::size_t i) {
      const Stopwatch watch;
      PreparedObservation prepared = pipeline.prepare(observations[i]);
      chunks[i].warnings = std::move(prepared.warnings);
      NetworkCall call{std::move(prepared.input), options(i)};
      chunks[i].timing.preprocess_ms = watch.elapsed_ms();
      return call;
    };
    const auto finish = [&](std::size_t i, const std::vector<float>& actions, Timing timing) {
      ActionChunk& chunk = chunks[i];
      timing.preprocess_ms = chunk.timing.preprocess_ms;
      timing.total_ms += timing.preprocess_ms;
      chunk.timing = timing;
      chunk.actions = pipeline.finish(actions, observations[i].state);
      chunk.horizon = info.action_horizon;
      chunk.dims = info.action_dims;
      chunk.n_action_steps = info.n_action_steps;
      chunk.names = info.action_names;
      chunk.ranges = pipeline.ranges(observations[i].state);
    };
    network.impl().runner.sample_batch(observations.size(), prepare, finish);
    return chunks;
  }

  Pipeline pipeline;
  PolicyInfo info;
  Network network;
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

Pipeline PolicyLoader::pipeline(const std::filesystem::path& checkpoint,
                                const PolicyOptions& options) {
  return Pipeline(open_checkpoint(checkpoint, checkpoint_options(options)), options);
}

Policy PolicyLoader::load(Pipeline pipeline, const PolicyOptions& options) {
  return Policy(std::make_unique<Policy::Impl>(std::move(pipeline), options));
}

// The pipeline first: what it refuses is found before weights are prepared.
Policy Policy::load(const std::filesystem::path& checkpoint, const PolicyOptions& options) {
  return PolicyLoader::load(PolicyLoader::pipeline(checkpoint, options), options);
}

Policy::Impl& Policy::impl() const {
  if (impl_ == nullptr) {
    throw Error(ErrorCode::kInvalidInput,
                "this Policy was moved from, expected one that holds a policy: use the one that it "
                "was moved to, or load anew");
  }
  return *impl_;
}

const PolicyInfo& Policy::info() const { return impl().info; }
const Network& Policy::network() const { return impl().network; }

ActionChunk Policy::infer(const Observation& observation, const SampleOptions& options) const {
  return std::move(
      impl().infer(std::span(&observation, 1), [&](std::size_t) { return options; }).front());
}

std::vector<ActionChunk> Policy::infer(std::span<const Observation> observations,
                                       const SampleOptions& options) const {
  const NetworkInfo& network = impl().network.info();
  const std::size_t size = static_cast<std::size_t>(network.action_horizon) *
                           static_cast<std::size_t>(network.action_dim);
  if (!options.noise.empty() && options.noise.size() != observations.size() * size) {
    throw Error(ErrorCode::kInvalidInput, "noise: " + std::to_string(options.noise.size()) +
                                              " values, expected [" +
                                              std::to_string(observations.size()) + ", " +
                                              std::to_string(network.action_horizon) + ", " +
                                              std::to_string(network.action_dim) + "]");
  }
  return impl().infer(observations, [&](std::size_t i) {
    SampleOptions own = options;
    if (!options.noise.empty()) {
      const auto begin = options.noise.begin() + static_cast<std::ptrdiff_t>(i * size);
      own.noise.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    }
    if (options.seed) own.seed = *options.seed + i;  // the first is as it would be alone
    return own;
  });
}

}  // namespace pi0
