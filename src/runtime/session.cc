#include "runtime/session.h"

#include <algorithm>
#include <utility>

#include "pi0/error.h"
#include "runtime/stopwatch.h"

namespace pi0 {
namespace {

// [rows, width]: ones in the first rows and zeros in the others, or the other way round.
std::vector<float> choice(int first, const Shape& shape, bool held) {
  std::vector<float> values(static_cast<std::size_t>(element_count(shape)), held ? 0.0f : 1.0f);
  std::fill_n(values.begin(), first * shape[1], held ? 1.0f : 0.0f);
  return values;
}

RowChoice upload_choice(Device& device, int first, const Shape& shape, Precision precision) {
  return {device.upload(shape, choice(first, shape, true), precision),
          device.upload(shape, choice(first, shape, false), precision)};
}

void write_choice(Device& device, RowChoice& to, int first) {
  device.write(to.held, choice(first, to.held.shape(), true));
  device.write(to.free, choice(first, to.free.shape(), false));
}

}  // namespace

std::vector<float> Pi0Session::sample_actions(const Pi0Input& input, Pi0Timing* timing) {
  try {
    return run(input, timing);
  } catch (...) {
    // Half done: what it has recorded may not be replayed, and what a card still does ends before
    // its memory is another's.
    try {
      device_.synchronize();
    } catch (const Error&) {  // what broke the call is what its caller is told
    }
    shapes_.clear();
    upcoming_.clear();
    throw;
  }
}

// The shape's tensors, with this call's inputs in them.
Pi0Session::Shape& Pi0Session::prepare(const Pi0Input& input) {
  device_.mark(component::kInputs, 0);
  const std::vector<float> language = model_.embed_tokens(input.tokens);
  const std::int64_t rows = device_.prompt_rows(std::ssize(input.tokens));
  const auto known = std::find_if(shapes_.begin(), shapes_.end(), [&](const Shape& shape) {
    return shape.vision->cameras == input.cameras && shape.prompt_rows == rows &&
           shape.steps == input.steps && shape.guidance.has_value() == input.guidance.has_value() &&
           (!shape.guidance || shape.guidance->max_weight == input.guidance->max_weight) &&
           shape.held.has_value() == input.held.has_value();
  });
  if (known == shapes_.end()) return make_shape(input, language);
  shapes_.splice(shapes_.begin(), shapes_, known);
  write_inputs(*known, input, language);
  return *known;
}

// Unless they are there already.
void Pi0Session::write_images(Vision& vision, const Pi0Input& input) {
  const bool there = std::exchange(vision.prefetched, {}) == input.images;
  if (vision.images && !there) device_.write(vision.images, input.images);
}

void Pi0Session::write_inputs(Shape& shape, const Pi0Input& input,
                              const std::vector<float>& language) {
  write_images(*shape.vision, input);
  if (shape.language) device_.write(shape.language, language);
  if (shape.state) device_.write(shape.state, input.state);
  device_.write(shape.noise, input.noise);
  if (shape.guidance) {
    device_.write(shape.guidance->target, input.guidance->target);
    device_.write(shape.guidance->weights, input.guidance->weights);
  }
  if (shape.held) {
    device_.write(shape.held->actions, input.held->actions);
    write_choice(device_, shape.held->of_actions, input.held->rows);
    write_choice(device_, shape.held->of_tokens, input.held->rows);
  }
}

// What of it other shapes have, it shares with them.
Pi0Session::Shape& Pi0Session::make_shape(const Pi0Input& input,
                                          const std::vector<float>& language) {
  const ModelConfig& config = model_.config();
  Shape shape;
  std::shared_ptr<const StepConstants> at_zero;
  for (const Shape& other : shapes_) {
    if (other.vision->cameras == input.cameras) shape.vision = other.vision;
    if (other.steps == input.steps) shape.constants = other.constants;
    if (other.held) at_zero = other.held->constants;
  }
  // Those used longest ago go before this one takes memory.
  const auto most = static_cast<std::size_t>(device_.replayed_shapes());
  while (shapes_.size() >= most) shapes_.pop_back();
  if (!shape.constants) {
    shape.constants =
        std::make_shared<const std::vector<StepConstants>>(model_.step_constants(input.steps));
    device_.mark(component::kInputs, 0);
  }
  if (input.held && !at_zero) {
    at_zero = std::make_shared<const StepConstants>(model_.constants_at(0));
    device_.mark(component::kInputs, 0);
  }
  shape.steps = input.steps;
  if (shape.vision) {
    // All parts of a shape's first call run unrecorded: the kernels that they compile are to last,
    // which nothing may that comes into being while a trace lives.
    shape.vision->trace.reset();
    write_images(*shape.vision, input);
  } else {
    shape.vision = std::make_shared<Vision>();
    shape.vision->cameras = input.cameras;
    if (input.cameras > 0) {
      const std::int64_t size = config.image_size;
      shape.vision->images = device_.upload_images({input.cameras, size, size, 3}, input.images,
                                                   config.vision.patch_size);
    }
  }
  const std::int64_t tokens = std::ssize(input.tokens);
  shape.prompt_rows = device_.prompt_rows(tokens);
  if (tokens > 0) shape.language = device_.upload_prompt({tokens, config.language.width}, language);
  if (config.kind == ModelKind::kPi0) {
    shape.state = device_.upload({1, config.state_dim}, input.state);
  }
  const pi0::Shape chunk{config.action_horizon, config.action_dim};
  shape.noise = device_.upload(chunk, input.noise, Precision::kFp32);
  if (input.guidance) {
    shape.guidance = {device_.upload(chunk, input.guidance->target, Precision::kFp32),
                      device_.upload(chunk, input.guidance->weights, Precision::kFp32),
                      input.guidance->max_weight};
  }
  if (input.held) {
    const int rows = input.held->rows;
    shape.held = {device_.upload(chunk, input.held->actions, Precision::kFp32),
                  upload_choice(device_, rows, chunk, Precision::kFp32),
                  upload_choice(device_, rows, {config.action_horizon, config.expert.width},
                                Precision::kActivation),
                  std::move(at_zero)};
  }
  shapes_.push_front(std::move(shape));
  return shapes_.front();
}

std::vector<float> Pi0Session::run(const Pi0Input& input, Pi0Timing* timing) {
  Stopwatch watch;
  Pi0Timing spent;
  const Stages stages(device_, input.observe, input.progress);
  Shape& shape = prepare(input);
  Vision& vision = *shape.vision;
  // An observer reads tensors in the middle of the work, which a trace cannot; and what the
  // work then assigns anew, traces would replay into its old place, or read there.
  if (stages.observed()) {
    for (Shape& one : shapes_) {
      for (auto* trace : {&one.vision->trace, &one.prefix, &one.denoise}) {
        trace->reset();
      }
    }
  }
  // What is replayed tells nothing of its progress: its beginning is told for it.
  const auto work_on = [&](std::string_view part, std::size_t total, std::unique_ptr<Trace>& trace,
                           const std::function<void()>& work) {
    stages.progress(part, 0, total);
    if (stages.observed()) {
      work();
    } else {
      device_.run(trace, work);
    }
  };
  const auto lap = [&](double& ms) {
    if (timing == nullptr) return;
    device_.synchronize();
    ms = watch.lap_ms();
  };
  const ModelConfig& config = model_.config();

  work_on("vision", static_cast<std::size_t>(config.vision.depth), vision.trace, [&] {
    if (vision.images) vision.embeddings = model_.embed_images(vision.images, stages);
  });
  lap(spent.vision);
  const bool prefetch = vision.images && upcoming_.size() == input.images.size();
  if (prefetch) device_.write(vision.images, upcoming_);  // while the prefix is computed

  work_on("prefix", static_cast<std::size_t>(config.language.depth - 1), shape.prefix, [&] {
    shape.cache = model_.prefix(vision.embeddings, shape.language, stages);
    if (shape.state) {
      shape.cache = model_.append_state(shape.state, std::move(shape.cache), stages);
    }
  });
  lap(spent.prefix);

  work_on("denoising", shape.constants->size(), shape.denoise, [&] {
    shape.actions = model_.denoise(shape.noise, shape.cache, *shape.constants,
                                   shape.guidance ? &*shape.guidance : nullptr,
                                   shape.held ? &*shape.held : nullptr, stages);
  });
  device_.mark(component::kActions, 0);
  std::vector<float> actions = device_.download(shape.actions);
  // Last: a call that fails promises nothing.
  if (prefetch) vision.prefetched = std::move(upcoming_);
  upcoming_.clear();
  if (timing != nullptr) {
    spent.denoise = watch.lap_ms();
    *timing = spent;
  }
  return actions;
}

}  // namespace pi0
