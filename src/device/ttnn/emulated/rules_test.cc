// Everything that TTNN refuses, refused.
#include "device/ttnn/emulated/emulated_testing.h"

namespace pi0::emulated_testing {
namespace {

TEST(EmulatedCardRefuses, WhatIsNotInTiles) {
  const auto api = make_card();
  const Tensor rows = zeros(*api, {1, 1, 32, 32}, DataType::kBfloat16, Layout::kRowMajor);
  const Tensor tiles = zeros(*api, {1, 1, 32, 32});
  expect_refused([&] { api->linear(rows, tiles, nullptr, linear_options(32, 32)); },
                 "ttnn.linear: its input must be in tile layout");
  expect_refused([&] { api->linear(tiles, rows, nullptr, linear_options(32, 32)); }, "its weight");
  expect_refused([&] { api->add(rows, tiles, {}); }, "ttnn.add");
  expect_refused([&] { api->rms_norm(rows, tiles, nullptr, {}); }, "ttnn.rms_norm");
  expect_refused([&] { api->nlp_concat_heads(rows, Placement::kDram); }, "nlp_concat_heads");
  expect_refused(
      [&] {
        zeros(*api, {1, 1, 32, 32}, DataType::kBfloat8B, Layout::kRowMajor);
      },
      "bfloat8_b exists in tiles alone");
}

TEST(EmulatedCardRefuses, LinearsThatDoNotFit) {
  const auto api = make_card();
  const Tensor a = zeros(*api, {1, 1, 64, 128});
  const Tensor w = zeros(*api, {1, 1, 128, 96});
  const Tensor short_w = zeros(*api, {1, 1, 127, 96});
  const Tensor bias = zeros(*api, {1, 1, 1, 64});
  const Tensor two_rows = zeros(*api, {1, 1, 33, 96});
  const LinearOptions good = linear_options(64, 96);
  EXPECT_NO_THROW(api->linear(a, w, nullptr, good));
  expect_refused([&] { api->linear(a, short_w, nullptr, good); }, "width is not the weight's");
  expect_refused([&] { api->linear(a, w, &bias, good); }, "not as wide");
  expect_refused([&] { api->linear(a, w, &two_rows, good); }, "one row");

  const auto with = [&](auto change) {
    LinearOptions options = good;
    options.program_config.per_core_M = 2;
    options.program_config.per_core_N = 3;
    options.program_config.out_block_h = 2;
    options.program_config.out_block_w = 3;
    change(options);
    api->linear(a, w, nullptr, options);
  };
  using O = LinearOptions;
  EXPECT_NO_THROW(with([](O&) {}));
  const auto refuse = [&](auto change, const std::string& part) {
    expect_refused([&] { with(change); }, part);
  };
  refuse([](O& o) { o.program_config.in0_block_w = 3; }, "in0_block_w");
  refuse([](O& o) { o.program_config.out_block_h = 3; }, "out_block_h");
  refuse([](O& o) { o.program_config.out_block_w = 2; }, "out_block_w");
  refuse([](O& o) { o.program_config.out_subblock_w = 2; }, "out_subblock_w");
  refuse([](O& o) { o.program_config.grid = {9, 8}; }, "grid");
  refuse(
      [](O& o) {
        o.program_config.out_subblock_h = 2;
        o.program_config.out_subblock_w = 3;
      },
      "sub-block of 2 x 3");
  EXPECT_NO_THROW(with([](O& o) {
    o.program_config.out_subblock_h = 2;
    o.program_config.out_subblock_w = 3;
    o.compute.fp32_dest_acc_en = false;
  }));
  refuse(
      [](O& o) {
        o.program_config.grid = {1, 1}, o.program_config.per_core_N = 3,
        o.program_config.per_core_M = 1, o.program_config.out_block_h = 1;
      },
      "blocks (columns x rows)");
  refuse(
      [](O& o) {
        o.program_config.one_dimension = true;
        o.program_config.per_core_M = 1;
        o.program_config.out_block_h = 1;
      },
      "one-dimensional");
}

TEST(EmulatedCardRefuses, WidthsAndRowsThatDoNotBroadcast) {
  const auto api = make_card();
  const Tensor a = zeros(*api, {2, 1, 40, 64});
  expect_refused([&] { api->add(a, zeros(*api, {2, 1, 40, 32}), {}); }, "different widths");
  expect_refused([&] { api->add(a, zeros(*api, {2, 1, 39, 64}), {}); }, "rows that do not");
  expect_refused([&] { api->add(a, zeros(*api, {3, 1, 40, 64}), {}); }, "batches that do not");
  EXPECT_NO_THROW(api->add(a, zeros(*api, {1, 1, 1, 64}), {}));
  const Tensor fp32 = zeros(*api, {2, 1, 40, 64}, DataType::kFloat32);
  BinaryOptions in_place;
  in_place.output = &fp32;
  expect_refused([&] { api->add(a, a, in_place); }, "the output tensor");
  expect_refused([&] { api->rms_norm(a, zeros(*api, {1, 1, 1, 33}), nullptr, {}); }, "as wide");
  expect_refused([&] { api->rms_norm(a, zeros(*api, {1, 1, 33, 64}), nullptr, {}); }, "one row");
}

TEST(EmulatedCardRefuses, ShapesThatNothingCanHave) {
  const auto api = make_card();
  const Tensor t = zeros(*api, {2, 1, 50, 64});
  expect_refused([&] { api->view(t, {1, 1, 100, 64}, {1, 1, 100, 64}); }, "amount of memory");
  expect_refused([&] { api->view(t, {2, 1, 50, 32}, {2, 1, 128, 32}); }, "last dimension");
  expect_refused([&] { api->view(t, {2, 1, 65, 64}, {2, 1, 64, 64}); }, "beyond the padded");
  expect_refused([&] { api->reshape(t, {1, 1, 99, 64}, Placement::kDram); }, "different sizes");
  expect_refused([&] { api->reshape(t, {1, 1, 50, 128}, Placement::kDram); }, "last dimension");
  expect_refused(
      [&] {
        api->slice(t, {0, 0, 1, 0}, {2, 1, 50, 64}, Placement::kDram);
      },
      "begins at a tile");
  expect_refused(
      [&] {
        api->slice(t, {0, 0, 0, 0}, {2, 1, 51, 64}, Placement::kDram);
      },
      "too much");
  const std::vector<Tensor> parts{t, zeros(*api, {2, 1, 50, 32})};
  expect_refused([&] { api->concat(parts, 2, Placement::kDram); }, "differ beside");
}

TEST(EmulatedCardRefuses, FoldElsewhereThanInDram) {
  const auto api = make_card();
  const Shape4 shape{1, 28, 4, 42};
  const Tensor l1 = zeros(*api, shape, DataType::kBfloat16, Layout::kRowMajor, Placement::kL1);
  expect_refused([&] { api->fold(l1, 14, 1); }, "DRAM");
  expect_refused([&] { api->fold(zeros(*api, shape), 14, 1); }, "row-major");
  const Tensor rows = zeros(*api, shape, DataType::kBfloat16, Layout::kRowMajor);
  expect_refused([&] { api->fold(rows, 13, 1); }, "height");
  expect_refused([&] { api->fold(rows, 14, 3); }, "width");
}

TEST(EmulatedCardRefuses, HeadsThatAreNoTiles) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 40, 3 * 72});
  expect_refused([&] { api->nlp_create_qkv_heads(x, nullptr, 1, 1, Placement::kDram); },
                 "no whole tiles");
  const Tensor q = zeros(*api, {1, 1, 40, 64});
  const Tensor kv = zeros(*api, {1, 1, 40, 32});
  expect_refused([&] { api->nlp_create_qkv_heads(q, &kv, 2, 1, Placement::kDram); },
                 "does not hold the keys");
  const Tensor wide = zeros(*api, {1, 2, 40, 96});
  const Tensor table = zeros(*api, {1, 1, 64, 96});
  expect_refused([&] { api->rotary_embedding(wide, table, table, Placement::kDram, exact()); },
                 "multiple of 64");
  const Tensor head = zeros(*api, {1, 2, 40, 64});
  const Tensor few = zeros(*api, {1, 1, 32, 64});
  expect_refused([&] { api->rotary_embedding(head, few, few, Placement::kDram, exact()); },
                 "does not cover");
}

TEST(EmulatedCardRefuses, AttentionThatTtnnDoesNotOffer) {
  const auto api = make_card();
  SdpaOptions options;
  options.grid = {8, 8};
  const Shape4 qs{1, 2, 40, 64}, ks{1, 1, 70, 64};
  const Tensor q = zeros(*api, qs);
  const Tensor k = zeros(*api, ks);
  const auto attend = [&](const Tensor& queries, const Tensor* mask) {
    api->scaled_dot_product_attention(queries, k, k, mask, options);
  };
  EXPECT_NO_THROW(attend(q, nullptr));
  expect_refused([&] { attend(zeros(*api, qs, DataType::kFloat32), nullptr); }, "bfloat16");
  expect_refused([&] { attend(zeros(*api, {1, 2, 40, 72}), nullptr); }, "whole tiles wide");
  expect_refused([&] { attend(zeros(*api, {2, 2, 40, 64}), nullptr); }, "batches");
  const Tensor good = zeros(*api, {1, 1, 40, 70});
  EXPECT_NO_THROW(attend(q, &good));
  const Tensor narrow = zeros(*api, {1, 1, 40, 64});
  expect_refused([&] { attend(q, &narrow); }, "the mask");
  const Tensor l1 = zeros(*api, {1, 1, 40, 70}, DataType::kBfloat16, Layout::kTile, Placement::kL1);
  expect_refused([&] { attend(q, &l1); }, "DRAM");
  const Tensor fp32 = zeros(*api, {1, 1, 40, 70}, DataType::kFloat32);
  expect_refused([&] { attend(q, &fp32); }, "bfloat16 or bfloat8_b");
  options.k_chunk_size = 48;
  expect_refused([&] { attend(q, nullptr); }, "multiples of 32");
  options.k_chunk_size = 32;
  options.grid = {9, 8};
  expect_refused([&] { attend(q, nullptr); }, "72 cores");
}

}  // namespace
}  // namespace pi0::emulated_testing
