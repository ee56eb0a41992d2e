// What a device did, one record an operation: for `pi0 audit`, for the replay on TTNN's mock, and
// for the roofline.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device/host_tensor.h"

namespace pi0 {

// A tensor as an operation saw it.
struct OperandRecord {
  std::int64_t id = 0;      // of the handle; an operation's result has a new one
  std::int64_t buffer = 0;  // of the memory behind it, which views share
  Shape shape;
  Shape padded_shape;     // as stored: tiles
  std::string dtype;      // "bfloat16", "bfloat8_b", "float32"
  std::string layout;     // "tile", "row_major"
  std::string placement;  // "dram", "l1", "host"
  std::int64_t bytes = 0;
};

using AttributeValue = std::variant<bool, std::int64_t, double, std::string, Shape>;

enum class Where { kDevice, kTransfer /* between host and device */, kHost };

// A part of the network, as reports name it ("gemma_layer"), and the stage of a call that it
// belongs to ("prefix").
struct Component {
  // What its index counts: layers, say, which a report lists one by one; the denoising steps, of
  // which it may show the worst; or both, step * layers + layer.
  enum class Index { kNone, kLayer, kStep, kLayerOfStep };
  const char* name = "";
  const char* stage = "";
  Index index = Index::kNone;

  bool operator==(const Component& other) const { return std::string_view(name) == other.name; }
};

struct OperationRecord {
  std::string name;  // "linear"; TTNN's name where it is one of TTNN's
  Where where = Where::kDevice;
  Component component = {};  // as Device::mark() named it last
  int index = 0;             // which layer or step of it
  std::vector<OperandRecord> inputs;
  std::vector<OperandRecord> outputs;
  std::vector<std::pair<std::string, AttributeValue>> attributes;  // program_config.per_core_M, …
  double flops = 0;        // multiplications and additions of the logical shapes
  std::int64_t bytes = 0;  // read and written, padding included
  // After it: what is allocated, in the device's own memory and in that of each of its cores.
  std::int64_t memory_bytes = 0;
  std::int64_t core_bytes = 0;
  std::int64_t core_scratch_bytes = 0;  // of this operation, per core, while it ran
  std::int64_t live_tensors = 0;
};

// Who is told. Frees are records too: name "deallocate", the freed operand as its input.
class OperationLog {
 public:
  virtual ~OperationLog() = default;
  virtual void mark(const Component& component, int index) = 0;
  virtual void record(OperationRecord operation) = 0;
};

}  // namespace pi0
