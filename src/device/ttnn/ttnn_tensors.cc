#include <cassert>

#include "device/ttnn/ttnn.h"
#include "device/ttnn/ttnn_device.h"
#include "pi0/error.h"

namespace pi0 {

std::unique_ptr<Device> make_ttnn_device(std::unique_ptr<shim::Api> api, const Policies& policies,
                                         std::string name, OperationLog* log) {
  return std::make_unique<ttnn::TtnnDevice>(std::move(api), policies, std::move(name), log);
}

namespace ttnn {

using shim::DataType;
using shim::Layout;
using shim::Placement;
using shim::Shape4;

namespace {

// Other shapes have driven out a table since the work last ran: it cannot be captured now.
struct TableMissing {};

// Rows of zeros behind them.
std::vector<float> padded_rows(std::span<const float> values, const Shape4& shape) {
  std::vector<float> padded(values.begin(), values.end());
  padded.resize(static_cast<std::size_t>(shim::volume(shape)));
  return padded;
}

Tensor input(const Shape& shape, shim::Tensor tensor) {
  Tensor made = stored(shape, std::move(tensor));
  made.as<Stored>().input = true;
  return made;
}

}  // namespace

Tensor stored(const Shape& shape, shim::Tensor tensor) {
  auto storage = std::make_unique<Stored>();
  storage->tensor = std::move(tensor);
  return Tensor(shape, std::move(storage));
}

Tensor stored_rows(const Tensor& x, const Shape& shape, shim::Tensor tensor) {
  Tensor made = stored(shape, std::move(tensor));
  made.as<Stored>().runs = x.as<Stored>().runs;
  made.as<Stored>().prompt = x.as<Stored>().prompt;
  return made;
}

TtnnDevice::TtnnDevice(std::unique_ptr<shim::Api> api, const Policies& policies, std::string name,
                       OperationLog* log)
    : api_(std::move(api)),
      policies_(policies),
      name_(std::move(name)),
      log_(log),
      constants_(*api_, [this] { before_new_table(); }) {}

void TtnnDevice::before_new_table() {
  if (capturing_ != nullptr) throw TableMissing();
  forget_traces();
}

void TtnnDevice::forget_traces() {
  for (TracedWork* const work : *traced_) work->captured = {};
}

Tensor TtnnDevice::upload(const Shape& shape, std::span<const float> values, Precision precision) {
  assert(shape.size() == 2);
  forget_traces();
  const DataType type = precision == Precision::kFp32 ? DataType::kFloat32 : DataType::kBfloat16;
  return input(shape, api_->to_device(values, {1, 1, shape[0], shape[1]}, type, Layout::kTile,
                                      Placement::kDram));
}

Tensor TtnnDevice::upload_images(const Shape& shape, std::span<const float> values,
                                 int patch_size) {
  forget_traces();
  const std::int64_t side = shape[1] / patch_size;
  Tensor images = input(
      shape, api_->to_device(cut_to_patches(values, shape[0], shape[1], patch_size),
                             {shape[0], side * patch_size, side, std::int64_t{patch_size} * 3},
                             DataType::kBfloat16, Layout::kRowMajor, Placement::kDram));
  images.as<Stored>().patch = patch_size;
  return images;
}

Tensor TtnnDevice::upload_prompt(const Shape& shape, std::span<const float> values) {
  forget_traces();
  const Shape4 rows{1, 1, prompt_rows(shape[0]), shape[1]};
  Tensor prompt = input(shape, api_->to_device(padded_rows(values, rows), rows, DataType::kBfloat16,
                                               Layout::kTile, Placement::kDram));
  Stored& stored = prompt.as<Stored>();
  stored.runs = {{.tokens = 0, .rows = rows[2], .with_prompt = true}};
  stored.prompt = std::make_shared<PromptTables>(
      *api_, [this] { before_new_table(); }, shape[0]);
  return prompt;
}

// On the second queue, once the first is done with what has been asked of it so far; whatever
// reads the tensor next waits for this write.
void TtnnDevice::write(Tensor& tensor, std::span<const float> values) {
  Stored& stored = tensor.as<Stored>();
  assert(stored.input);
  api_->wait_for_event(1, *api_->record_event(0));
  if (stored.patch != 0) {
    api_->copy_to_device(cut_to_patches(values, tensor.dim(0), tensor.dim(1), stored.patch),
                         stored.tensor, 1);
  } else if (stored.prompt) {
    tensor.set_rows(static_cast<std::int64_t>(values.size()) / tensor.dim(1));
    assert(prompt_rows(tensor.dim(0)) == stored.tensor.shape()[2]);
    api_->copy_to_device(padded_rows(values, stored.tensor.shape()), stored.tensor, 1);
    stored.prompt->write(tensor.dim(0));
  } else {
    api_->copy_to_device(values, stored.tensor, 1);
  }
  stored.written = api_->record_event(1);
  last_write_ = stored.written;
}

std::vector<float> TtnnDevice::download(const Tensor& tensor) {
  Stored& stored = tensor.as<Stored>();
  assert(stored.patch == 0);
  const std::vector<float> all = api_->to_host(operand(tensor));
  const auto [batch, heads, rows, columns] = stored.tensor.shape();
  // Which of the columns and rows are the network's.
  std::vector<std::int64_t> column_at;
  if (stored.heads.dim == 0) {
    column_at = in_order(columns).at;
  } else {
    column_at = in_heads(static_cast<int>(columns / stored.heads.padded), stored.heads).at;
  }
  std::vector<std::int64_t> row_at;
  if (stored.runs.empty()) {
    row_at = in_order(rows).at;
  } else {
    std::int64_t begin = 0;
    for (const TokenRun& run : stored.counted_runs()) {
      for (std::int64_t i = 0; i < run.tokens; ++i) row_at.push_back(begin + i);
      begin += run.rows;
    }
  }
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(element_count(tensor.shape())));
  for (std::int64_t plane = 0; plane < batch * heads; ++plane) {
    for (const std::int64_t row : row_at) {
      const float* line = all.data() + (plane * rows + row) * columns;
      for (const std::int64_t column : column_at) {
        values.push_back((line[column] - stored.offset) / stored.scale);
      }
    }
  }
  return values;
}

const shim::Tensor& TtnnDevice::operand(const Tensor& tensor) {
  Stored& stored = tensor.as<Stored>();
  if (capturing_ == nullptr) {
    wait_for_write(stored);
  } else if (stored.input) {  // every write was waited for before the capture
    capturing_->inputs.push_back(&stored);
    stored.written.reset();
  }
  return stored.tensor;
}

void TtnnDevice::wait_for_write(Stored& stored) {
  if (!stored.written) return;
  api_->wait_for_event(0, *stored.written);
  stored.written.reset();
}

const shim::Tensor& TtnnDevice::constant(const shim::Tensor& tensor) {
  if (capturing_ != nullptr) capturing_->constants.push_back(tensor);
  return tensor;
}

// Where every part but the last fills its tiles, tiles are joined as they are: the last part's
// padding becomes the result's. A prompt is the last part, its padding rows of the result.
Tensor TtnnDevice::concatenate_rows(std::span<const Tensor* const> parts) {
  const Tensor& last = *parts.back();
  Shape shape{0, parts[0]->dim(1)};
  Shape4 whole{1, 1, 0, shape[1]};
  std::vector<shim::Tensor> rows;
  bool whole_tiles = true;
  for (const Tensor* const one : parts) {
    shim::Tensor part = operand(*one);
    const bool prompt = one->as<Stored>().prompt != nullptr;
    assert(!prompt || one == &last);
    const Shape4 joined{1, 1, prompt ? part.shape()[2] : one->dim(0), shape[1]};
    shape[0] += one->dim(0);
    whole[2] += joined[2];
    if (part.shape() != joined) {  // of several sequences: whole tiles need not move
      part = part.shape()[2] % shim::kTile == 0
                 ? api_->view(part, joined, {1, 1, joined[2], part.spec().padded[3]})
                 : api_->reshape(part, joined, part.spec().placement);
    }
    whole_tiles = whole_tiles && (one == &last || joined[2] % shim::kTile == 0);
    rows.push_back(std::move(part));
  }
  shim::Tensor joined = rows[0];
  if (rows.size() > 1) {
    const Placement placement = place(TensorRole::kResidual, whole);
    const Shape4 padded = rows.back().spec().padded;
    const Shape4 filled{1, 1, padded[2], shape[1]};
    if (whole_tiles && rows.back().shape() != filled) {
      rows.back() = api_->view(rows.back(), filled, padded);
    }
    joined = api_->concat(rows, 2, placement);
    if (joined.shape() != whole) joined = api_->view(joined, whole, joined.spec().padded);
  }
  Tensor result = stored_rows(last, shape, std::move(joined));
  for (TokenRun& run : result.as<Stored>().runs) {
    run.tokens += shape[0] - last.dim(0);
    run.rows = whole[2];
  }
  return result;
}

void TtnnDevice::run(std::unique_ptr<Trace>& trace, const std::function<void()>& work) {
  if (!api_->can_trace()) {
    work();
    return;
  }
  if (trace == nullptr) {
    work();
    trace = std::make_unique<TracedWork>(traced_);  // only now has all of it run once
    return;
  }
  Captured& traced = static_cast<TracedWork&>(*trace).captured;
  if (traced.trace == nullptr) {
    if (last_write_) api_->wait_for_event(0, *last_write_);
    Captured captured;
    api_->begin_trace_capture();
    capturing_ = &captured;
    const auto abandon = [&] {
      capturing_ = nullptr;
      try {
        api_->end_trace_capture();
      } catch (const Error&) {  // what broke the work is what its caller is told
      }
    };
    try {
      work();
    } catch (const TableMissing&) {
      abandon();
      work();  // which makes it; the next time it is captured
      return;
    } catch (...) {
      abandon();
      throw;
    }
    capturing_ = nullptr;
    captured.trace = api_->end_trace_capture();
    traced = std::move(captured);
  }
  for (Stored* stored : traced.inputs) wait_for_write(*stored);
  api_->execute_trace(*traced.trace);
}

}  // namespace ttnn
}  // namespace pi0
