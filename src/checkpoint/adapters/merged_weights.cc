#include "checkpoint/adapters/merged_weights.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "checkpoint/weights/weight_files.h"

namespace pi0 {
namespace {

class MergedWeights final : public WeightSource {
 public:
  MergedWeights(std::shared_ptr<const WeightSource> base, Adapters adapters)
      : base_(std::move(base)), adapters_(std::move(adapters)) {}

  HostTensor tensor(const std::string& name) const override {
    const auto whole = adapters_.whole.find(name);
    if (whole != adapters_.whole.end()) return mapped_tensor(*adapters_.file, name, *whole->second);
    const auto pair = adapters_.low_rank.find(name);
    HostTensor base = base_->tensor(name);
    if (pair == adapters_.low_rank.end() || base.data == nullptr) return base;
    return merged(base, pair->second);
  }

  DType dtype(const std::string& name) const override {
    const auto whole = adapters_.whole.find(name);
    if (whole != adapters_.whole.end()) return *weight_type(whole->second->dtype);
    return adapters_.low_rank.contains(name) ? DType::kF32 : base_->dtype(name);
  }

 private:
  // In peft's order: B A first, then its scale, then the sum.
  HostTensor merged(const HostTensor& base, const LowRank& pair) const {
    const std::vector<float> a = mapped_tensor(*adapters_.file, base.name, *pair.a).to_floats();
    const std::vector<float> b = mapped_tensor(*adapters_.file, base.name, *pair.b).to_floats();
    const auto scale = static_cast<float>(pair.scale);
    const auto rank = static_cast<std::size_t>(pair.a->shape[0]);
    const std::size_t in = rank == 0 ? 0 : a.size() / rank;
    auto values = std::make_shared<std::vector<float>>(base.to_floats());
    std::vector<float> row(in);
    for (std::size_t out = 0; (out + 1) * in <= values->size() && in != 0; ++out) {
      std::fill(row.begin(), row.end(), 0.0f);
      for (std::size_t k = 0; k < rank; ++k) {
        const float factor = b[out * rank + k];
        const float* const from = a.data() + k * in;
        for (std::size_t i = 0; i < in; ++i) row[i] += factor * from[i];
      }
      float* const to = values->data() + out * in;
      for (std::size_t i = 0; i < in; ++i) to[i] += scale * row[i];
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(values->data());
    return {base.name + ", merged with " + adapters_.file->where(), DType::kF32, base.shape, bytes,
            std::move(values)};
  }

  std::shared_ptr<const WeightSource> base_;
  Adapters adapters_;
};

}  // namespace

std::shared_ptr<const WeightSource> merge(std::shared_ptr<const WeightSource> base,
                                          Adapters adapters) {
  return std::make_shared<MergedWeights>(std::move(base), std::move(adapters));
}

}  // namespace pi0
