#include "verify/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "pi0/error.h"
#include "verify/compare.h"

namespace pi0 {
namespace {

// Normalising is a few operations an element; the network's tolerance would hide a wrong epsilon.
constexpr double kNormalisationTolerance = 1e-6;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse_recording(const std::string& where, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + sentence);
}

// How a stage is judged.
struct Rule {
  double tolerance = 0;
  double least_correlation = 0;               // see StageResult
  const std::vector<float>* noise = nullptr;  // [rows, width], of what started from it
  std::int64_t noise_width = 0;
};

// `values` [rows, columns] less the noise's columns of the same number.
std::vector<float> without_noise(std::span<const float> values, std::int64_t columns,
                                 const Rule& rule) {
  std::vector<float> moved(values.begin(), values.end());
  for (std::size_t i = 0; i < moved.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / columns;
    const auto column = static_cast<std::int64_t>(i) % columns;
    moved[i] -= (*rule.noise)[static_cast<std::size_t>(row * rule.noise_width + column)];
  }
  return moved;
}

StageResult judge(const std::string& name, const Shape& shape, std::span<const float> expected,
                  std::span<const float> actual, const Rule& rule) {
  const Difference difference = compare(expected, actual);
  StageResult result{name,
                     shape,
                     difference.largest,
                     rule.tolerance * std::max(1.0, difference.magnitude),
                     difference.correlation,
                     rule.least_correlation};
  if (rule.noise != nullptr && rule.least_correlation > 0) {
    const std::int64_t columns = shape.back();
    result.correlation =
        compare(without_noise(expected, columns, rule), without_noise(actual, columns, rule))
            .correlation;
  }
  return result;
}

// Keeps what the network shows, under the name and index of each stage.
class Collector {
 public:
  void observe(const Stage& stage) {
    auto& indexed = stages_[std::string(stage.name)];
    indexed.resize(static_cast<std::size_t>(stage.index) + 1);
    indexed.back().assign(stage.values.begin(), stage.values.end());
  }

  // All indices of a stage, one after another; empty where it was not shown.
  std::vector<float> joined(const std::string& stage) const {
    std::vector<float> values;
    if (const auto found = stages_.find(stage); found != stages_.end()) {
      for (const auto& part : found->second) values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  }

 private:
  std::map<std::string, std::vector<std::vector<float>>> stages_;
};

// The network computes valid tokens alone; a recording has rows for all of them.
class Layout {
 public:
  Layout(const NetworkInput& input, const ModelConfig& config) : config_(config) {
    for (const std::uint8_t mask : input.image_masks) {
      image_rows_.insert(image_rows_.end(), static_cast<std::size_t>(config.patches()), mask != 0);
    }
    prefix_rows_ = image_rows_;
    for (const std::uint8_t mask : input.token_mask) prefix_rows_.push_back(mask != 0);
  }

  // Which rows of the last dimension are valid in `stage`, in one of its outer blocks; empty: all.
  const std::vector<bool>& valid_rows(const std::string& stage) const {
    static const std::vector<bool> kAll;
    if (stage == "vision_output" || stage == "image_embeddings") return image_rows_;
    if (stage.rfind("prefix_", 0) == 0) return prefix_rows_;
    return kAll;
  }

  Shape shape(const std::string& stage, int steps) const {
    const auto cameras = static_cast<std::int64_t>(image_rows_.size()) / config_.patches();
    const auto tokens = static_cast<std::int64_t>(prefix_rows_.size());
    const GemmaConfig& language = config_.language;
    const int suffix = config_.action_horizon + (config_.kind == ModelKind::kPi0 ? 1 : 0);
    if (stage == "vision_output") return {cameras, config_.patches(), config_.vision.width};
    if (stage == "image_embeddings") return {cameras, config_.patches(), language.width};
    if (stage == "prefix_mask" || stage == "prefix_positions") return {tokens};
    if (stage == "prefix_embeddings") return {tokens, language.width};
    if (stage == "prefix_keys" || stage == "prefix_values") {
      return {language.depth, language.num_kv_heads, tokens, language.head_dim};
    }
    if (stage == "suffix_embeddings_0") return {suffix, config_.expert.width};
    if (stage == "conditioning") return {steps, config_.expert.width};
    if (stage == "time") return {steps};
    if (stage == "actions") return {config_.action_horizon, config_.action_dim};
    return {steps, config_.action_horizon, config_.action_dim};  // x_t, v_t
  }

  // Valid rows of `width` values -> all rows, the excluded ones zero.
  static std::vector<float> spread(const std::vector<float>& packed, const std::vector<bool>& valid,
                                   std::int64_t width, std::size_t total) {
    if (valid.empty()) return packed;
    std::vector<float> values(total, 0.0f);
    const float* next = packed.data();
    for (std::size_t row = 0; row * width < total; ++row) {
      if (!valid[row % valid.size()]) continue;
      std::copy_n(next, width, values.begin() + static_cast<std::int64_t>(row) * width);
      next += width;
    }
    return values;
  }

  const std::vector<bool>& prefix_rows() const { return prefix_rows_; }

 private:
  const ModelConfig& config_;
  std::vector<bool> image_rows_;
  std::vector<bool> prefix_rows_;
};

// What the recording names and the network does not show as such.
std::vector<float> derived(const std::string& stage, const Collector& collector,
                           const Layout& layout, int steps) {
  std::vector<float> values;
  if (stage == "prefix_mask") {
    for (const bool valid : layout.prefix_rows()) values.push_back(valid ? 1.0f : 0.0f);
  } else if (stage == "prefix_positions") {
    for (const bool valid : layout.prefix_rows()) {  // packed: valid rows alone
      if (valid) values.push_back(static_cast<float>(values.size()));
    }
  } else if (stage == "time") {
    for (int k = 0; k < steps; ++k) {
      values.push_back(static_cast<float>(1.0 + k * (-1.0 / steps)));
    }
  } else if (stage == "suffix_embeddings_0") {
    values = collector.joined("state_embedding");
    const std::vector<float> actions = collector.joined("action_embeddings");
    values.insert(values.end(), actions.begin(), actions.end());
  } else {
    values = collector.joined(stage);
  }
  return values;
}

// Rows of results: one a layer or a step where the first dimension counts those.
void add_results(const std::string& stage, const Shape& shape, const std::vector<float>& expected,
                 const std::vector<float>& actual, const std::vector<bool>& valid, const Rule& rule,
                 std::vector<StageResult>& results) {
  const bool each =
      stage == "prefix_keys" || stage == "prefix_values" || stage == "x_t" || stage == "v_t";
  const std::int64_t parts = each ? shape[0] : 1;
  const Shape part_shape = each ? Shape(shape.begin() + 1, shape.end()) : shape;
  const auto size = static_cast<std::size_t>(element_count(part_shape));
  // A mask or positions have one value a row; else the last dimension is the row.
  const auto width = shape.size() == 1 ? 1 : static_cast<std::size_t>(shape.back());
  for (std::int64_t part = 0; part < parts; ++part) {
    std::vector<float> kept_expected, kept_actual;
    for (std::size_t i = 0; i < size; ++i) {
      if (!valid.empty() && !valid[i / width % valid.size()]) continue;
      kept_expected.push_back(expected[static_cast<std::size_t>(part) * size + i]);
      kept_actual.push_back(actual[static_cast<std::size_t>(part) * size + i]);
    }
    results.push_back(judge(each ? fmt::format("{} {}", stage, part) : stage, part_shape,
                            kept_expected, kept_actual, rule));
  }
}

SampleOptions sample_options(int steps, const std::vector<float>& noise,
                             const VerifyOptions& options) {
  SampleOptions sample;
  sample.steps = steps;
  sample.noise = noise;
  sample.progress = options.progress;
  return sample;
}

// Of a stage by its plain name. What is not the device's work is as exact as ever.
Rule network_rule(std::string_view stage, const NetworkInfo& network,
                  const std::vector<float>& noise, const VerifyOptions& options) {
  Rule rule{.tolerance = options.tolerance};
  if (network.least_correlation == 0 || stage == "prefix_mask" || stage == "prefix_positions" ||
      stage == "time") {
    return rule;
  }
  rule.least_correlation = kStageCorrelation;
  if (stage.ends_with("actions")) rule.least_correlation = network.least_correlation;
  if (stage == "x_t" || stage == "actions" || stage == "model_actions") {
    rule.noise = &noise;
    rule.noise_width = network.action_dim;
  }
  return rule;
}

// In the order in which the network computes them.
constexpr const char* kStages[] = {"prefix_mask",
                                   "prefix_positions",
                                   "vision_output",
                                   "image_embeddings",
                                   "prefix_embeddings",
                                   "prefix_keys",
                                   "prefix_values",
                                   "suffix_embeddings_0",
                                   "conditioning",
                                   "time",
                                   "x_t",
                                   "v_t",
                                   "actions"};

}  // namespace

Verification verify_network(const Network& network, const ModelConfig& config,
                            const NetworkRecording& recording, const std::string& where,
                            const VerifyOptions& options) {
  const int steps = recording.steps != 0 ? recording.steps : config.num_steps;
  const Layout layout(recording.input, config);
  const auto require_shape = [&](const std::string& name, const RecordedTensor& tensor,
                                 const Shape& expected) {
    if (tensor.shape == expected) return;
    refuse_recording(where, fmt::format("tensor {} has shape {}, expected {} for this checkpoint",
                                        name, shape_text(tensor.shape), shape_text(expected)));
  };
  for (const auto& [stage, tensor] : recording.stages) {
    require_shape(stage, tensor, layout.shape(stage, steps));
  }
  for (const GuidedCall& call : recording.guided) {
    require_shape(call.name + ".actions", call.actions, layout.shape("actions", call.steps));
  }
  Verification verification;
  Collector collector;
  SampleOptions sample = sample_options(steps, recording.noise, options);
  sample.observe = [&](const Stage& stage) { collector.observe(stage); };
  std::vector<float> actions;
  if (!recording.stages.empty()) actions = network.sample_actions(recording.input, sample);
  for (const char* stage : kStages) {
    const auto recorded = recording.stages.find(stage);
    if (recorded == recording.stages.end()) continue;
    const Shape shape = layout.shape(stage, steps);
    const bool mask = std::string_view(stage) == "prefix_mask";
    // The mask itself is compared in every row.
    const std::vector<bool> valid = mask ? std::vector<bool>() : layout.valid_rows(stage);
    const std::vector<float> packed =
        std::string_view(stage) == "actions" ? actions : derived(stage, collector, layout, steps);
    const std::int64_t width = shape.size() == 1 ? 1 : shape.back();
    if (packed.empty())
      refuse_recording(where, std::string("tensor ") + stage + " is not of this network");
    RecordedTensor& computed = verification.computed[stage];
    computed.shape = shape;
    computed.values =
        Layout::spread(packed, valid, width, static_cast<std::size_t>(element_count(shape)));
    add_results(stage, shape, recorded->second.values, computed.values, valid,
                network_rule(stage, network.info(), recording.noise, options), verification.stages);
  }
  for (const GuidedCall& call : recording.guided) {
    SampleOptions guided = sample_options(call.steps, recording.noise, options);
    guided.rtc = call.rtc;
    const std::string name = call.name + ".actions";
    const Shape& shape = call.actions.shape;
    RecordedTensor& computed = verification.computed[name];
    computed = {shape, network.sample_actions(recording.input, guided)};
    add_results(name, shape, call.actions.values, computed.values, {},
                network_rule("actions", network.info(), recording.noise, options),
                verification.stages);
  }
  if (verification.stages.empty()) {
    refuse_recording(where, "holds inputs but no stage to compare with; see docs/recordings.md");
  }
  return verification;
}

Verification verify_case(const Network& network, const RecordedCase& recorded,
                         const std::string& where, RecordedPipelines& pipelines,
                         const VerifyOptions& options) {
  const Pipeline& pipeline = pipelines.of(recorded);
  const PreparedObservation prepared = pipeline.prepare(recorded.observation);
  const std::vector<float> model_actions = network.sample_actions(
      prepared.input, sample_options(recorded.steps, recorded.noise, options));
  const std::vector<float> actions = pipeline.finish(model_actions, recorded.observation.state);
  const std::int64_t horizon = network.info().action_horizon;
  const auto dims = static_cast<std::int64_t>(actions.size()) / horizon;

  Verification verification;
  verification.warnings = prepared.warnings;
  const auto add = [&](const std::string& name, const Shape& shape, std::vector<float> values,
                       const Rule& rule, const std::vector<bool>& valid = {}) {
    const auto found = recorded.results.find(name);
    if (found == recorded.results.end()) return;
    const std::string full = recorded.name + "." + name;
    if (found->second.shape == shape) {
      add_results(full, shape, found->second.values, values, valid, rule, verification.stages);
    } else {  // another number of tokens, say: a verdict, not a fault of the recording
      verification.stages.push_back(
          {full, shape, kInfinity, rule.tolerance, 0, rule.least_correlation});
    }
    verification.computed[full] = {shape, std::move(values)};
  };

  // Recorded tokens may be padded; what their mask excludes is not compared.
  std::vector<float> tokens(prepared.input.tokens.begin(), prepared.input.tokens.end());
  std::vector<bool> valid;
  if (const auto mask = recorded.results.find("token_mask"); mask != recorded.results.end()) {
    for (const float flag : mask->second.values) valid.push_back(flag != 0);
    const auto count = static_cast<std::size_t>(std::count(valid.begin(), valid.end(), true));
    if (count == tokens.size()) {
      tokens.resize(valid.size(), 0.0f);
    } else {
      valid.clear();
    }
  }
  const Shape token_shape{static_cast<std::int64_t>(tokens.size())};
  add("tokens", token_shape, std::move(tokens), {}, valid);
  add("normalised_state", {static_cast<std::int64_t>(prepared.normalised_state.size())},
      prepared.normalised_state, {.tolerance = kNormalisationTolerance});
  // lerobot cuts to the robot's dimensions before it un-normalises, openpi after.
  const auto recorded_model = recorded.results.find("model_actions");
  if (recorded_model != recorded.results.end() && recorded_model->second.shape.size() == 2) {
    const std::int64_t width = network.info().action_dim;
    const std::int64_t columns = std::min(width, recorded_model->second.shape[1]);
    std::vector<float> cut;
    for (std::int64_t row = 0; row < horizon; ++row) {
      const auto begin = model_actions.begin() + row * width;
      cut.insert(cut.end(), begin, begin + columns);
    }
    add("model_actions", {horizon, columns}, std::move(cut),
        network_rule("model_actions", network.info(), recorded.noise, options));
  }
  // In the robot's units, in which the noise is not known.
  Rule rule = network_rule("actions", network.info(), recorded.noise, options);
  rule.noise = nullptr;
  add("actions", {horizon, dims}, actions, rule);
  if (verification.stages.empty()) {
    refuse_recording(where, fmt::format("case {} holds no result to compare with", recorded.name));
  }
  return verification;
}

}  // namespace pi0
