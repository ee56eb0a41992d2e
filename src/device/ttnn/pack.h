// Weights on the host in the order and padding that the device wants them, before they go up.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/host_tensor.h"

namespace pi0 {

// How head_dim values lie in the tiles of a head. Rotated heads have each half padded apart, so
// that the halves still meet: rotary_embedding pairs i with padded / 2 + i.
struct HeadLayout {
  int dim = 0;
  int padded = 0;
  bool rotary = false;

  std::int64_t at(std::int64_t i) const {
    return rotary && i >= dim / 2 ? padded / 2 + (i - dim / 2) : i;
  }
  bool operator==(const HeadLayout&) const = default;
};
HeadLayout head_layout(int head_dim, bool rotary);

// Where the logical indices of a dimension go: `at[i]` of `size` places, the others zero.
struct IndexMap {
  std::vector<std::int64_t> at;
  std::int64_t size = 0;
};
IndexMap in_order(std::int64_t count);
IndexMap in_heads(int heads, const HeadLayout& layout);
// Three runs of `width`, each begun at a multiple of 32.
IndexMap in_thirds(std::int64_t width);

// A matrix [inputs, outputs], filled in from weights [out, in]. Without data it stays empty: what
// it is made from is a shape alone.
class PackedMatrix {
 public:
  PackedMatrix(std::int64_t inputs, std::int64_t outputs) : inputs_(inputs), outputs_(outputs) {}

  // weight [out, in] times `scale`, its outputs `first` places further.
  void place(const HostTensor& weight, const IndexMap& in, const IndexMap& out,
             std::int64_t first = 0, float scale = 1);
  // Columns [first, first + inputs) of weight [outputs, in].
  void place_columns(const HostTensor& weight, std::int64_t first);
  // vector [out], the same way, for a matrix of one input.
  void place_row(const HostTensor& vector, const IndexMap& out, std::int64_t first = 0,
                 float scale = 1);

  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }
  std::vector<float>& values() { return values_; }

 private:
  void allocate();
  std::int64_t inputs_, outputs_;
  std::vector<float> values_;
};

// To the 5 bits of mantissa, the leading one included, that LoFi multiplies of a weight, to the
// nearest: what LoFi would cut off makes every weight smaller.
void round_to_lofi(std::span<float> values);

// Patch embedding weights [out, 3, patch, patch] -> [patch * patch * 3, out], in the order
// (row, column, channel) that fold gives a patch of a channel-last image.
std::vector<float> pack_patches(const HostTensor& weight);

// Images [cameras, size, size, 3] -> [cameras, side * patch, side, patch * 3]: the same order,
// without the pixels beyond the last whole patch.
std::vector<float> cut_to_patches(std::span<const float> images, std::int64_t cameras,
                                  std::int64_t size, std::int64_t patch);

// cos and sin at positions first … first + tokens - 1, [tokens, padded], computed as PyTorch does:
// position times inverse frequency in fp32. Padding is not rotated (cos 1, sin 0).
struct RotaryTables {
  std::vector<float> cos, sin;
};
RotaryTables rotary_tables(int first, std::int64_t tokens, const HeadLayout& layout);

}  // namespace pi0
