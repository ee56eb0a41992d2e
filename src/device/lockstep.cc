#include "device/lockstep.h"

#include <vector>

#include "device/unwrapped.h"

namespace pi0 {
namespace {

struct Both final : Tensor::Storage {
  Both(Tensor a, Tensor b) : first(std::move(a)), second(std::move(b)) {}
  Tensor first, second;
};

// Weights of one kind, prepared by each device.
template <typename Weights>
struct BothWeights final : Weights {
  BothWeights(std::unique_ptr<Weights> a, std::unique_ptr<Weights> b)
      : first(std::move(a)), second(std::move(b)) {}
  std::unique_ptr<Weights> first, second;
};

template <typename Weights>
std::unique_ptr<Weights> join(std::unique_ptr<Weights> a, std::unique_ptr<Weights> b) {
  return std::make_unique<BothWeights<Weights>>(std::move(a), std::move(b));
}

template <typename Weights>
const BothWeights<Weights>& both(const Weights& weights) {
  return static_cast<const BothWeights<Weights>&>(weights);
}

Tensor join(Tensor a, Tensor b) {
  assert(a.shape() == b.shape());
  const Shape shape = a.shape();
  return Tensor(shape, std::make_unique<Both>(std::move(a), std::move(b)));
}

Both& both(const Tensor& tensor) { return tensor.as<Both>(); }
const Tensor* first_of(const Tensor* tensor) { return tensor ? &both(*tensor).first : nullptr; }
const Tensor* second_of(const Tensor* tensor) { return tensor ? &both(*tensor).second : nullptr; }

class Lockstep final : public Device {
 public:
  Lockstep(std::unique_ptr<Device> first, std::unique_ptr<Device> second,
           LockstepObserver& observer)
      : first_(std::move(first)), second_(std::move(second)), observer_(observer) {}

  std::string name() const override { return first_->name() + " against " + second_->name(); }

  Tensor upload(const Shape& shape, std::span<const float> values, Precision precision) override {
    return join(first_->upload(shape, values, precision),
                second_->upload(shape, values, precision));
  }
  Tensor upload_images(const Shape& shape, std::span<const float> values, int patch_size) override {
    return join(first_->upload_images(shape, values, patch_size),
                second_->upload_images(shape, values, patch_size));
  }
  // Of which neither is given another number of tokens: prompt_rows() is what it is by itself.
  Tensor upload_prompt(const Shape& shape, std::span<const float> values) override {
    return join(first_->upload_prompt(shape, values), second_->upload_prompt(shape, values));
  }
  void write(Tensor& tensor, std::span<const float> values) override {
    first_->write(both(tensor).first, values);
    second_->write(both(tensor).second, values);
  }
  std::vector<float> download(const Tensor& tensor) override {
    return show("download", tensor.shape(), both(tensor).first, both(tensor).second);
  }
  void synchronize() override {
    first_->synchronize();
    second_->synchronize();
  }

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape* joined,
                                                WeightPrecision precision) override {
    return join(first_->prepare_linear(weight, bias, joined, precision),
                second_->prepare_linear(weight, bias, joined, precision));
  }
  std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                    const HostTensor& bias) override {
    return join(first_->prepare_modulation(weight, bias),
                second_->prepare_modulation(weight, bias));
  }
  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override {
    return join(first_->prepare_layer_norm(weight, bias),
                second_->prepare_layer_norm(weight, bias));
  }
  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override {
    return join(first_->prepare_rms_norm(weight), second_->prepare_rms_norm(weight));
  }
  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override {
    return join(first_->prepare_patch_embedding(weight, bias, positions),
                second_->prepare_patch_embedding(weight, bias, positions));
  }
  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override {
    return join(first_->prepare_qkv(source), second_->prepare_qkv(source));
  }
  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down,
                                                     WeightPrecision precision) override {
    return join(first_->prepare_gated_mlp(gate, up, down, precision),
                second_->prepare_gated_mlp(gate, up, down, precision));
  }

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override {
    return result("patch_embedding",
                  first_->patch_embedding(both(images).first, *both(weights).first),
                  second_->patch_embedding(both(images).second, *both(weights).second));
  }
  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    return result("layer_norm", first_->layer_norm(both(x).first, *both(weights).first, eps),
                  second_->layer_norm(both(x).second, *both(weights).second, eps));
  }
  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    return result("rms_norm", first_->rms_norm(both(x).first, *both(weights).first, eps),
                  second_->rms_norm(both(x).second, *both(weights).second, eps));
  }
  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override {
    const UnwrappedModulation<Both> first(modulation, &Both::first),
        second(modulation, &Both::second);
    return result("rms_norm", first_->rms_norm(both(x).first, first.get(), eps),
                  second_->rms_norm(both(x).second, second.get(), eps));
  }
  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision precision) override {
    return result(
        "linear",
        first_->linear(both(x).first, *both(weights).first, activation, first_of(row), precision),
        second_->linear(both(x).second, *both(weights).second, activation, second_of(row),
                        precision));
  }
  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override {
    Both& both_residual = both(residual);
    return result("linear_residual",
                  first_->linear_residual(both(x).first, *both(weights).first,
                                          std::move(both_residual.first), first_of(gate)),
                  second_->linear_residual(both(x).second, *both(weights).second,
                                           std::move(both_residual.second), second_of(gate)));
  }
  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override {
    Both& both_residual = both(residual);
    return result("gated_mlp",
                  first_->gated_mlp(both(x).first, *both(weights).first,
                                    std::move(both_residual.first), first_of(gate)),
                  second_->gated_mlp(both(x).second, *both(weights).second,
                                     std::move(both_residual.second), second_of(gate)));
  }
  Modulation modulation(const Tensor& condition, const LinearWeights& dense) override {
    Modulation a = first_->modulation(both(condition).first, *both(dense).first);
    Modulation b = second_->modulation(both(condition).second, *both(dense).second);
    return {result("modulation.scale", std::move(a.scale), std::move(b.scale)),
            result("modulation.shift", std::move(a.shift), std::move(b.shift)),
            result("modulation.gate", std::move(a.gate), std::move(b.gate))};
  }

  Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) override {
    Qkv a, b;
    {
      const UnwrappedCache<Both> after(split.after, &Both::first);
      a = first_->qkv(both(x).first, *both(weights).first, {split.sequences, after.get()});
    }
    {
      const UnwrappedCache<Both> after(split.after, &Both::second);
      b = second_->qkv(both(x).second, *both(weights).second, {split.sequences, after.get()});
    }
    return {result("qkv.queries", std::move(a.queries), std::move(b.queries)),
            {result("qkv.keys", std::move(a.own.keys), std::move(b.own.keys)),
             result("qkv.values", std::move(a.own.values), std::move(b.own.values))}};
  }
  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override {
    KeysValues a, b;
    {
      const UnwrappedCache<Both> after(split.after, &Both::first);
      a = first_->keys_values(both(x).first, *both(weights).first, {split.sequences, after.get()});
    }
    {
      const UnwrappedCache<Both> after(split.after, &Both::second);
      b = second_->keys_values(both(x).second, *both(weights).second,
                               {split.sequences, after.get()});
    }
    return {result("keys_values.keys", std::move(a.keys), std::move(b.keys)),
            result("keys_values.values", std::move(a.values), std::move(b.values))};
  }
  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override {
    const auto attend = [&](Device& device, Tensor Both::*side) {
      const UnwrappedKeysValues<Both> own_keys(own, side);
      const UnwrappedCache<Both> cache_keys(cache, side);
      return device.attention(std::move(both(queries).*side), own_keys.get(), cache_keys.get());
    };
    Tensor first = attend(*first_, &Both::first);
    return result("attention", std::move(first), attend(*second_, &Both::second));
  }

  Tensor concatenate_rows(std::span<const Tensor* const> parts) override {
    std::vector<const Tensor*> first, second;
    for (const Tensor* part : parts) {
      first.push_back(first_of(part));
      second.push_back(second_of(part));
    }
    return result("concatenate_rows", first_->concatenate_rows(first),
                  second_->concatenate_rows(second));
  }
  KeysValues concatenate_tokens(KeysValues a, KeysValues b) override {
    const auto side = [](KeysValues& kv, Tensor Both::*which) {
      return KeysValues{std::move(both(kv.keys).*which), std::move(both(kv.values).*which)};
    };
    KeysValues first = first_->concatenate_tokens(side(a, &Both::first), side(b, &Both::first));
    KeysValues second = second_->concatenate_tokens(side(a, &Both::second), side(b, &Both::second));
    return {result("concatenate_tokens.keys", std::move(first.keys), std::move(second.keys)),
            result("concatenate_tokens.values", std::move(first.values), std::move(second.values))};
  }
  Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                     const Tensor& rows_of_b) override {
    const Both &of_a = both(a), &by_a = both(rows_of_a), &of_b = both(b), &by_b = both(rows_of_b);
    return result("choose_rows",
                  first_->choose_rows(of_a.first, by_a.first, of_b.first, by_b.first),
                  second_->choose_rows(of_a.second, by_a.second, of_b.second, by_b.second));
  }
  Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                         const Tensor& weights, float t, float gain) override {
    const Both &a = both(x), &b = both(v), &c = both(target), &d = both(weights);
    return result("guided_velocity",
                  first_->guided_velocity(a.first, b.first, c.first, d.first, t, gain),
                  second_->guided_velocity(a.second, b.second, c.second, d.second, t, gain));
  }
  Tensor euler_step(const Tensor& x, const Tensor& v, float dt) override {
    return result("euler_step", first_->euler_step(both(x).first, both(v).first, dt),
                  second_->euler_step(both(x).second, both(v).second, dt));
  }

  void mark(const Component& component, int index) override {
    component_ = component;
    index_ = index;
    first_->mark(component, index);
    second_->mark(component, index);
  }

 private:
  std::vector<float> show(std::string_view operation, const Shape& shape, const Tensor& first,
                          const Tensor& second) {
    std::vector<float> values = first_->download(first);
    const std::vector<float> other = second_->download(second);
    observer_.observe({operation, component_, index_, shape, values, other});
    return values;
  }
  Tensor result(std::string_view operation, Tensor first, Tensor second) {
    show(operation, first.shape(), first, second);
    return join(std::move(first), std::move(second));
  }

  std::unique_ptr<Device> first_, second_;
  LockstepObserver& observer_;
  Component component_;
  int index_ = 0;
};

}  // namespace

std::unique_ptr<Device> make_lockstep_device(std::unique_ptr<Device> first,
                                             std::unique_ptr<Device> second,
                                             LockstepObserver& observer) {
  return std::make_unique<Lockstep>(std::move(first), std::move(second), observer);
}

}  // namespace pi0
