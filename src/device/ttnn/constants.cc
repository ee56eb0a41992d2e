#include "device/ttnn/constants.h"

namespace pi0 {
namespace {

using shim::DataType;
using shim::Layout;
using shim::Placement;

}  // namespace

bool padded_inside(const std::vector<TokenRun>& runs) {
  for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
    if (runs[i].tokens != runs[i].rows) return true;
  }
  return false;
}

std::int64_t tokens_of(const std::vector<TokenRun>& runs) {
  std::int64_t tokens = 0;
  for (const TokenRun& run : runs) tokens += run.tokens;
  return tokens;
}

std::vector<float> mask_row(const std::vector<TokenRun>& runs) {
  std::vector<float> row;
  for (const TokenRun& run : runs) {
    row.insert(row.end(), static_cast<std::size_t>(run.tokens), 0.0f);
    row.insert(row.end(), static_cast<std::size_t>(run.rows - run.tokens), kMasked);
  }
  return row;
}

const RotaryPair& Constants::rotary(int first, std::int64_t tokens, const HeadLayout& layout) {
  return rotary_.get({first, tokens, layout.dim}, [&] {
    before_new_();
    const RotaryTables tables = rotary_tables(first, tokens, layout);
    const auto put = [&](const std::vector<float>& values) {
      return api_.to_device(values, {1, 1, tokens, layout.padded}, DataType::kBfloat16,
                            Layout::kTile, Placement::kDram);
    };
    return RotaryPair{put(tables.cos), put(tables.sin)};
  });
}

const shim::Tensor& Constants::mask(std::int64_t queries, const std::vector<TokenRun>& runs) {
  std::vector<std::int64_t> key{queries};
  for (const TokenRun& run : runs) key.insert(key.end(), {run.tokens, run.rows});
  return masks_.get(key, [&] {
    before_new_();
    const std::vector<float> row = mask_row(runs);
    std::vector<float> values;
    for (std::int64_t query = 0; query < queries; ++query) {
      values.insert(values.end(), row.begin(), row.end());
    }
    return api_.to_device(values, {1, 1, queries, static_cast<std::int64_t>(row.size())},
                          DataType::kBfloat16, Layout::kTile, Placement::kDram);
  });
}

}  // namespace pi0
