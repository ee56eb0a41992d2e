// The shim over TTNN's C++ API, written for 0.71.2.
#pragma once

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <ttnn/operations/trace.hpp>
#include <ttnn/tensor/tensor.hpp>
#include <utility>
#include <vector>

#include "device/ttnn/real/real_shim_card.h"
#include "device/ttnn/real/real_shim_types.h"
#include "device/ttnn/shim/shim.h"
#include "pi0/error.h"

namespace pi0::shim {

// Runs `work`; what TTNN throws becomes an Error that names the operation.
template <typename Work>
auto guarded(const char* operation, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, std::string("ttnn ") + operation + ": out of host memory");
  } catch (const std::exception& error) {
    const std::string sentence = sentence_of(error.what());
    const bool memory = sentence.find("Out of Memory") != std::string::npos ||
                        sentence.find("beyond max L1 size") != std::string::npos ||
                        sentence.find("clash with L1 buffers") != std::string::npos;
    const bool l1 = memory && sentence.find("L1") != std::string::npos;
    throw Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported,
                std::string("ttnn ") + operation + ": " + sentence + (l1 ? kMoreInDram : ""));
  }
}

// What views share. The tensor is as it was made; a handle's spec says how it is seen.
struct Memory final : Tensor::Buffer {
  Memory(std::shared_ptr<OpenCard> the_card, std::shared_ptr<std::int64_t> all, ttnn::Tensor made)
      : card(std::move(the_card)), live(std::move(all)), tensor(std::move(made)) {
    ++*live;
  }
  ~Memory() override {
    --*live;
    try {
      tensor.deallocate(true);
    } catch (const std::exception&) {
      // The card has been closed: its memory went with it.
    }
  }

  std::shared_ptr<OpenCard> card;  // closed when the last that holds it goes
  std::shared_ptr<std::int64_t> live;
  ttnn::Tensor tensor;
};

class RealShim final : public Api {
 public:
  explicit RealShim(int index) : card_(std::make_shared<OpenCard>(index)) {}
  RealShim(const RealShim&) = delete;
  RealShim& operator=(const RealShim&) = delete;
  ~RealShim() override { card_->close(); }

  const Card& card() const override { return card_->card(); }
  std::string description() const override;
  MemoryUse memory() const override;

  Tensor to_device(std::span<const float> values, const Shape4& shape, DataType dtype,
                   Layout layout, Placement placement) override;
  void copy_to_device(std::span<const float> values, const Tensor& tensor, int queue) override;
  std::vector<float> to_host(const Tensor& tensor) override;
  void synchronize() override;

  Tensor view(const Tensor& x, const Shape4& shape, const Shape4& padded) override;
  Tensor reshape(const Tensor& x, const Shape4& shape, Placement placement) override;
  Tensor to_layout(const Tensor& x, Layout layout, Placement placement) override;
  Tensor fold(const Tensor& x, int stride_h, int stride_w) override;
  Tensor concat(std::span<const Tensor> parts, int dim, Placement placement) override;
  Tensor slice(const Tensor& x, const Shape4& begin, const Shape4& end,
               Placement placement) override;

  Tensor linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                const LinearOptions& options) override;
  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const NormOptions& options) override;
  Tensor rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                  const NormOptions& options) override;
  Tensor add(const Tensor& a, const Tensor& b, const BinaryOptions& options) override;
  Tensor add(const Tensor& a, float b, const BinaryOptions& options) override;
  Tensor multiply(const Tensor& a, const Tensor& b, const BinaryOptions& options) override;
  Tensor multiply(const Tensor& a, float b, const BinaryOptions& options) override;

  Heads nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads, int num_kv_heads,
                             Placement placement) override;
  Tensor nlp_concat_heads(const Tensor& x, Placement placement) override;
  Tensor rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                          Placement placement, const ComputeKernelConfig& compute) override;
  Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor* mask, const SdpaOptions& options) override;

  bool can_trace() const override { return card_->fast_dispatch(); }
  void begin_trace_capture() override;
  std::unique_ptr<Trace> end_trace_capture() override;
  void execute_trace(const Trace& trace) override;
  std::unique_ptr<Event> record_event(int queue) override;
  void wait_for_event(int queue, const Event& event) override;

 private:
  // The tensor as its handle sees it; a view of it where that is not how it was made.
  static ttnn::Tensor in(const Tensor& tensor);
  static std::optional<ttnn::Tensor> in(const Tensor* tensor);
  Tensor out(ttnn::Tensor result) const;
  // The same where the operation may have given back memory of `x`.
  Tensor out(ttnn::Tensor result, const Tensor& x) const;
  // `output` where it was given, since the operation has written there.
  Tensor into(const Tensor* output, ttnn::Tensor result) const {
    return output != nullptr ? *output : out(std::move(result));
  }
  // The only queue there is, with slow dispatch.
  ttnn::QueueId queue(int number) const {
    return ttnn::QueueId(static_cast<std::uint8_t>(card_->fast_dispatch() ? number : 0));
  }
  ttnn::MeshDevice* device() const { return card_->device(); }

  std::shared_ptr<OpenCard> card_;
  std::shared_ptr<std::int64_t> live_ = std::make_shared<std::int64_t>(0);
  // As far as memory() has been asked: TTNN keeps none.
  mutable std::int64_t peak_dram_ = 0;
  mutable std::int64_t peak_l1_ = 0;
  std::optional<ttnn::MeshTraceId> capturing_;
};

}  // namespace pi0::shim
