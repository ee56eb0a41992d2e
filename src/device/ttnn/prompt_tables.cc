#include "device/ttnn/prompt_tables.h"

#include <algorithm>
#include <span>

namespace pi0 {

using shim::DataType;
using shim::Layout;
using shim::Placement;
using shim::Shape4;

void PromptTables::write(std::int64_t tokens) {
  tokens_ = tokens;
  for (const Rotary& rotary : rotary_) fill(rotary);
  for (const Mask& mask : masks_) fill(mask);
}

std::vector<TokenRun> PromptTables::counted(std::vector<TokenRun> runs) const {
  for (TokenRun& run : runs) {
    if (std::exchange(run.with_prompt, false)) run.tokens += tokens_;
  }
  return runs;
}

const RotaryPair& PromptTables::rotary(const std::vector<TokenRun>& before, std::int64_t tokens,
                                       const HeadLayout& layout) {
  const auto known = std::find_if(rotary_.begin(), rotary_.end(), [&](const Rotary& rotary) {
    return rotary.before == before && rotary.tokens == tokens && rotary.layout == layout;
  });
  if (known != rotary_.end()) return known->tables;
  before_new_();
  const auto make = [&] {
    return api_.to_device({}, {1, 1, tokens, layout.padded}, DataType::kBfloat16, Layout::kTile,
                          Placement::kDram);
  };
  rotary_.push_back({before, tokens, layout, {make(), make()}});
  fill(rotary_.back());
  return rotary_.back().tables;
}

const shim::Tensor& PromptTables::mask(std::int64_t queries, const std::vector<TokenRun>& runs) {
  const auto known = std::find_if(masks_.begin(), masks_.end(), [&](const Mask& mask) {
    return mask.runs == runs && mask.all.shape()[2] == queries;
  });
  if (known != masks_.end()) return known->all;
  before_new_();
  const std::vector<float> row = mask_row(counted(runs));
  const auto make = [&](std::int64_t rows, std::span<const float> values) {
    const Shape4 shape{1, 1, rows, static_cast<std::int64_t>(row.size())};
    return api_.to_device(values, shape, DataType::kBfloat16, Layout::kTile, Placement::kDram);
  };
  const std::vector<float> zeros(static_cast<std::size_t>(queries) * row.size());
  masks_.push_back({runs, make(1, row), make(queries, zeros), make(queries, {})});
  fill(masks_.back());
  return masks_.back().all;
}

void PromptTables::fill(const Rotary& rotary) {
  const auto first = static_cast<int>(tokens_of(counted(rotary.before)));
  const RotaryTables values = rotary_tables(first, rotary.tokens, rotary.layout);
  api_.copy_to_device(values.cos, rotary.tables.cos, 0);
  api_.copy_to_device(values.sin, rotary.tables.sin, 0);
}

void PromptTables::fill(const Mask& mask) {
  api_.copy_to_device(mask_row(counted(mask.runs)), mask.row, 0);
  api_.add(mask.zeros, mask.row, {.placement = Placement::kDram, .output = &mask.all});
}

}  // namespace pi0
