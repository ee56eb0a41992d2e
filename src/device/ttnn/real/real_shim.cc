#include "device/ttnn/real/real_shim.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tt-metalium/allocator.hpp>
#include <tt-metalium/distributed.hpp>
#include <ttnn/events.hpp>
#include <ttnn/operations/core/to_layout/to_layout_op.hpp>
#include <ttnn/operations/data_movement/concat/concat.hpp>
#include <ttnn/operations/data_movement/fold/fold.hpp>
#include <ttnn/operations/data_movement/reshape_view/reshape.hpp>
#include <ttnn/operations/data_movement/slice/slice.hpp>
#include <ttnn/operations/experimental/reshape/view.hpp>
#include <ttnn/tensor/tensor_ops.hpp>

#include "device/ttnn/real/real_shim_class.h"

namespace pi0::shim {
namespace {

namespace metal = tt::tt_metal;

// These two are in tt::tt_metal up to 0.71, and in ttnn later.
ttnn::Tensor moved_create_device_tensor(const ttnn::TensorSpec& spec, ttnn::MeshDevice* device) {
  using namespace tt::tt_metal;
  using namespace ttnn;
  return create_device_tensor(spec, device);
}

void moved_copy_to_device(const ttnn::Tensor& host, ttnn::Tensor& tensor, ttnn::QueueId queue) {
  using namespace tt::tt_metal;
  using namespace ttnn;
  copy_to_device(host, tensor, queue);
}

struct RealTrace final : Trace {
  RealTrace(std::shared_ptr<OpenCard> the_card, ttnn::MeshTraceId the_id)
      : card(std::move(the_card)), id(the_id) {
    card->add_trace(id);
  }
  ~RealTrace() override {
    try {
      card->release_trace(id);
    } catch (const std::exception&) {
      // Its memory is released when the card is closed.
    }
  }
  std::shared_ptr<OpenCard> card;
  ttnn::MeshTraceId id;
};

struct RealEvent final : Event {
  explicit RealEvent(ttnn::MeshEvent recorded) : event(std::move(recorded)) {}
  ttnn::MeshEvent event;
};

std::array<std::uint32_t, 4> to_array(const Shape4& shape) {
  std::array<std::uint32_t, 4> array{};
  for (std::size_t i = 0; i < shape.size(); ++i) array[i] = static_cast<std::uint32_t>(shape[i]);
  return array;
}

}  // namespace

ttnn::Tensor RealShim::in(const Tensor& tensor) {
  if (!tensor) throw std::invalid_argument("an operand is empty");
  const auto& memory = static_cast<const Memory&>(*tensor.buffer());
  const TensorSpec& spec = tensor.spec();
  if (from_ttnn(memory.tensor) == spec) return memory.tensor;
  return ttnn::experimental::view(memory.tensor, to_ttnn(spec.shape), to_ttnn(spec.padded));
}

std::optional<ttnn::Tensor> RealShim::in(const Tensor* tensor) {
  if (tensor == nullptr) return std::nullopt;
  return in(*tensor);
}

Tensor RealShim::out(ttnn::Tensor result) const {
  const TensorSpec spec = from_ttnn(result);
  return Tensor(spec, std::make_shared<Memory>(card_, live_, std::move(result)));
}

Tensor RealShim::out(ttnn::Tensor result, const Tensor& x) const {
  const auto& memory = static_cast<const Memory&>(*x.buffer());
  if (result.buffer()->address() == memory.tensor.buffer()->address() &&
      result.buffer()->buffer_type() == memory.tensor.buffer()->buffer_type()) {
    return Tensor(from_ttnn(result), x.buffer());
  }
  return out(std::move(result));
}

std::string RealShim::description() const {
  const std::string version = PI0_TTNN_VERSION;
  return "TTNN " + (version.empty() ? version : version + " ") + "on " + card().name + " (card " +
         std::to_string(card_->index()) +
         (card_->is_mock()        ? ", TTNN's mock, which computes nothing)"
          : cards_are_simulated() ? ", simulated)"
                                  : ")");
}

MemoryUse RealShim::memory() const {
  const auto& allocator = *device()->allocator();
  const auto dram = allocator.get_statistics(metal::BufferType::DRAM);  // per bank
  const auto l1 = allocator.get_statistics(metal::BufferType::L1);
  MemoryUse use;
  use.dram_bytes = static_cast<std::int64_t>(dram.total_allocated_bytes) * card().dram_banks;
  use.l1_bytes_per_core = static_cast<std::int64_t>(l1.total_allocated_bytes);
  peak_dram_ = std::max(peak_dram_, use.dram_bytes);
  peak_l1_ = std::max(peak_l1_, use.l1_bytes_per_core);
  use.peak_dram_bytes = peak_dram_;
  use.peak_l1_bytes_per_core = peak_l1_;
  use.live_tensors = *live_;
  return use;
}

// ---- Between host and device ----

Tensor RealShim::to_device(std::span<const float> values, const Shape4& shape, DataType dtype,
                           Layout layout, Placement placement) {
  return guarded("to_device", [&] {
    const ttnn::TensorSpec spec = to_ttnn(make_spec(shape, dtype, layout, placement));
    if (values.empty()) return out(moved_create_device_tensor(spec, device()));
    return out(ttnn::Tensor::from_span<float>(values, spec, device()));
  });
}

void RealShim::copy_to_device(std::span<const float> values, const Tensor& tensor, int number) {
  guarded("copy_to_device", [&] {
    ttnn::Tensor there = in(tensor);
    const ttnn::Tensor here = ttnn::Tensor::from_span<float>(values, there.tensor_spec());
    moved_copy_to_device(here, there, queue(number));
  });
}

std::vector<float> RealShim::to_host(const Tensor& tensor) {
  return guarded("to_host", [&] { return in(tensor).to_vector<float>(queue(0)); });
}

void RealShim::synchronize() {
  guarded("synchronize", [&] { metal::distributed::Synchronize(device(), std::nullopt); });
}

// ---- Shape ----

Tensor RealShim::view(const Tensor& x, const Shape4& shape, const Shape4& padded) {
  return guarded("view", [&] {
    // Made here to be checked, and again for each use of the handle: it costs no device time.
    const ttnn::Tensor seen = ttnn::experimental::view(in(x), to_ttnn(shape), to_ttnn(padded));
    return Tensor(from_ttnn(seen), x.buffer());
  });
}

Tensor RealShim::reshape(const Tensor& x, const Shape4& shape, Placement placement) {
  return guarded("reshape",
                 [&] { return out(ttnn::reshape(in(x), to_ttnn(shape), to_ttnn(placement)), x); });
}

Tensor RealShim::to_layout(const Tensor& x, Layout layout, Placement placement) {
  return guarded("to_layout", [&] {
    return out(ttnn::to_layout(in(x), to_ttnn(layout), std::nullopt, to_ttnn(placement)), x);
  });
}

Tensor RealShim::fold(const Tensor& x, int stride_h, int stride_w) {
  return guarded("fold", [&] {
    return out(ttnn::fold(in(x), static_cast<std::uint32_t>(stride_h),
                          static_cast<std::uint32_t>(stride_w)));
  });
}

Tensor RealShim::concat(std::span<const Tensor> parts, int dim, Placement placement) {
  return guarded("concat", [&] {
    std::vector<ttnn::Tensor> tensors;
    for (const Tensor& part : parts) tensors.push_back(in(part));
    return out(ttnn::concat(tensors, dim, to_ttnn(placement)), parts.front());
  });
}

Tensor RealShim::slice(const Tensor& x, const Shape4& begin, const Shape4& end,
                       Placement placement) {
  return guarded("slice", [&] {
    return out(ttnn::slice(in(x), to_array(begin), to_array(end), to_array({1, 1, 1, 1}),
                           to_ttnn(placement)),
               x);
  });
}

// ---- Traces and queues ----

void RealShim::begin_trace_capture() {
  guarded("begin_trace_capture",
          [&] { capturing_ = ttnn::operations::trace::begin_trace_capture(device(), queue(0)); });
}

std::unique_ptr<Trace> RealShim::end_trace_capture() {
  return guarded("end_trace_capture", [&] {
    if (!capturing_.has_value()) throw std::logic_error("nothing is being captured");
    const ttnn::MeshTraceId id = *capturing_;
    capturing_.reset();
    auto trace = std::make_unique<RealTrace>(card_, id);
    ttnn::operations::trace::end_trace_capture(device(), id, queue(0));
    return trace;
  });
}

void RealShim::execute_trace(const Trace& trace) {
  guarded("execute_trace", [&] {
    ttnn::operations::trace::execute_trace(device(), static_cast<const RealTrace&>(trace).id,
                                           queue(0), false);
  });
}

std::unique_ptr<Event> RealShim::record_event(int number) {
  return guarded("record_event", [&] {
    return std::make_unique<RealEvent>(ttnn::events::record_mesh_event(device(), queue(number)));
  });
}

void RealShim::wait_for_event(int number, const Event& event) {
  guarded("wait_for_event", [&] {
    ttnn::events::wait_for_mesh_event(queue(number), static_cast<const RealEvent&>(event).event);
  });
}

}  // namespace pi0::shim

namespace pi0 {

std::unique_ptr<shim::Api> make_real_shim(int card) {
  return std::make_unique<shim::RealShim>(card);
}

}  // namespace pi0
