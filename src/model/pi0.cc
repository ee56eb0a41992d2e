#include "model/pi0.h"

#include <cmath>
#include <utility>

namespace pi0 {

Pi0::Pi0(const ModelConfig& config, std::shared_ptr<const WeightSource> source,
         std::unique_ptr<Device> device, const std::function<void(int)>& progress)
    : config_(config), source_(std::move(source)), device_(std::move(device)) {
  const Loader loader(*device_, *source_, progress);
  embedding_ = source_->tensor(std::string(kEmbedTokens));
  siglip_.emplace(config_, loader);
  prefix_.emplace(config_, loader);
  denoiser_.emplace(config_, loader);
}

std::vector<float> Pi0::embed_tokens(const std::vector<std::int32_t>& tokens) const {
  const std::int64_t width = config_.language.width;
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(width)));
  std::vector<float> rows(tokens.size() * static_cast<std::size_t>(width));
  if (embedding_.data == nullptr) return rows;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    HostTensor row = embedding_;
    row.name += " row " + std::to_string(tokens[i]);
    row.shape = {width};
    row.data += static_cast<std::size_t>(tokens[i] * width) * size_of(row.dtype);
    require_finite(row);
    row.copy_to(0, std::span(rows).subspan(i * width, width));
  }
  for (float& value : rows) value *= scale;
  return rows;
}

Tensor Pi0::embed_images(const Tensor& images, const Stages& stages) const {
  return siglip_->embed(*device_, images, stages);
}

KvCache Pi0::prefix(const Tensor& images, const Tensor& language, const Stages& stages) const {
  std::vector<const Tensor*> parts;
  if (images) parts.push_back(&images);
  if (language) parts.push_back(&language);
  device_->mark(component::kPrefixEmbeddings, 0);
  Tensor embeddings = device_->concatenate_rows(parts);
  stages("prefix_embeddings", 0, embeddings);
  return prefix_->run(*device_, std::move(embeddings), stages);
}

KvCache Pi0::append_state(const Tensor& state, KvCache prefix, const Stages& stages) const {
  return denoiser_->append_state(*device_, state, std::move(prefix), stages);
}

StepConstants Pi0::constants_at(float t) const {
  device_->mark(component::kStepConstants, 0);
  return denoiser_->constants_at(*device_, t);
}

std::vector<StepConstants> Pi0::step_constants(int steps) const {
  return denoiser_->step_constants(*device_, steps);
}

Tensor Pi0::denoise(const Tensor& noise, const KvCache& cache,
                    const std::vector<StepConstants>& steps, const Guidance* guidance,
                    const HeldRows* held, const Stages& stages) const {
  return denoiser_->denoise(*device_, noise, cache, steps, guidance, held, stages);
}

}  // namespace pi0
