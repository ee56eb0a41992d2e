// The tensors of the logging shim: handles on those of the shim that it wraps, which tell the log
// when their memory goes.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/operations.h"
#include "device/ttnn/shim/shim.h"

namespace pi0::logging {

using shim::Shape4;
using shim::Tensor;
using shim::TensorSpec;
using shim::volume;

using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

inline Shape to_shape(const Shape4& shape) { return {shape.begin(), shape.end()}; }
inline Shape to_shape(const shim::CoreGrid& grid) { return {grid.x, grid.y}; }

inline OperandRecord record_of(const TensorSpec& spec, std::int64_t id, std::int64_t buffer) {
  return {id,
          buffer,
          to_shape(spec.shape),
          to_shape(spec.padded),
          name_of(spec.dtype),
          name_of(spec.layout),
          name_of(spec.placement),
          size_in_bytes(spec)};
}

inline OperandRecord host_record(const Shape4& shape) {
  return {0,         0,           to_shape(shape), to_shape(shape),
          "float32", "row_major", "host",          4 * volume(shape)};
}

// What outlives every tensor: the shim that is recorded, and the log.
struct Logger {
  Logger(std::unique_ptr<shim::Api> api, OperationLog& l) : inner(std::move(api)), log(l) {}

  std::unique_ptr<shim::Api> inner;
  OperationLog& log;
  std::int64_t ids = 0;
  std::int64_t buffers = 0;
  std::int64_t traces = 0;
  std::int64_t capturing = 0;  // the trace's number, else 0

  void record(OperationRecord operation) {
    const shim::MemoryUse use = inner->memory();
    operation.memory_bytes = use.dram_bytes;
    operation.core_bytes = use.l1_bytes_per_core;
    operation.live_tensors = use.live_tensors;
    if (capturing != 0) operation.attributes.emplace_back("captured", capturing);
    log.record(std::move(operation));
  }
};

// Memory that views share; the log hears when it goes.
struct LoggedMemory {
  std::shared_ptr<Logger> logger;
  OperandRecord operand;  // as it was made

  ~LoggedMemory() {
    OperationRecord operation;
    operation.name = "deallocate";
    operation.inputs = {operand};
    logger->record(std::move(operation));
  }
};

struct LoggedBuffer : Tensor::Buffer {
  LoggedBuffer(std::shared_ptr<LoggedMemory> m, Tensor t)
      : memory(std::move(m)), inner(std::move(t)) {}
  std::shared_ptr<LoggedMemory> memory;
  Tensor inner;  // destroyed first: the memory is free when the log hears of it
};

struct LoggedTrace : shim::Trace {
  std::unique_ptr<shim::Trace> inner;
  std::int64_t number = 0;
};

inline Tensor inner_of(const Tensor& tensor) {
  if (!tensor) return {};
  const Tensor& inner = static_cast<const LoggedBuffer&>(*tensor.buffer()).inner;
  return Tensor(tensor.spec(), inner.buffer(), inner.id());
}

inline OperandRecord record_of(const Tensor& tensor) {
  const auto& buffer = static_cast<const LoggedBuffer&>(*tensor.buffer());
  return record_of(tensor.spec(), tensor.id(), buffer.memory->operand.buffer);
}

}  // namespace pi0::logging
