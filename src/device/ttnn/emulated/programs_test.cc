// Sizes that TTNN 0.71.2 gave on its mock device (graph capture), for the network's operations.
#include "device/ttnn/emulated/programs.h"

#include <gtest/gtest.h>

namespace pi0::emulated {
namespace {

using namespace shim;

TensorSpec tiles(const Shape4& shape, DataType dtype = DataType::kBfloat16) {
  return make_spec(shape, dtype, Layout::kTile, Placement::kDram);
}

LinearOptions options(bool one_dimension, int block_w, int out_h, int out_w,
                      DataType dtype = DataType::kBfloat16) {
  LinearOptions o;
  o.dtype = dtype;
  o.compute = {MathFidelity::kHiFi2, false, true, true};
  o.program_config.one_dimension = one_dimension;
  o.program_config.in0_block_w = block_w;
  o.program_config.out_block_h = out_h;
  o.program_config.out_block_w = out_w;
  return o;
}

TEST(CircularBuffers, OfLinearAreTtnns) {
  const auto bytes = [](const TensorSpec& a, std::int64_t n, DataType weight, bool bias,
                        const LinearOptions& o) {
    const TensorSpec b = tiles({1, 1, 1, n});
    return linear_buffers(a, tiles({1, 1, a.shape[3], n}, weight), bias ? &b : nullptr, o);
  };
  const DataType bfp8 = DataType::kBfloat8B;
  const DataType bf16 = DataType::kBfloat16;
  const DataType fp32 = DataType::kFloat32;
  EXPECT_EQ(bytes(tiles({3, 1, 256, 1152}), 4608, bfp8, true, options(false, 4, 3, 18)), 574464);
  EXPECT_EQ(bytes(tiles({3, 1, 256, 588}), 1152, bfp8, true, options(false, 19, 3, 5)), 322496);
  EXPECT_EQ(bytes(tiles({1, 1, 816, 2048}), 2560, bfp8, false, options(false, 8, 4, 10)), 550912);
  EXPECT_EQ(bytes(tiles({1, 1, 816, 2048}), 512, bfp8, false, options(false, 8, 4, 2)), 215040);
  EXPECT_EQ(bytes(tiles({1, 1, 50, 1024}), 2560, bfp8, false, options(true, 32, 2, 2)), 225280);
  EXPECT_EQ(bytes(tiles({1, 1, 50, 32}, fp32), 1024, bf16, true, options(true, 1, 2, 1)), 24576);
  EXPECT_EQ(bytes(tiles({1, 1, 50, 1024}), 32, bf16, true, options(true, 32, 2, 1, fp32)), 206848);
}

SdpaOptions sdpa(int q, int k, bool fp32) {
  SdpaOptions o;
  o.grid = {8, 8};
  o.q_chunk_size = q;
  o.k_chunk_size = k;
  o.compute.fp32_dest_acc_en = fp32;
  return o;
}

TEST(CircularBuffers, OfAttentionAreTtnns) {
  const TensorSpec vision = tiles({3, 16, 256, 96});
  EXPECT_EQ(sdpa_buffers(vision, vision, nullptr, sdpa(32, 256, true)), 258048);
  EXPECT_EQ(sdpa_buffers(vision, vision, nullptr, sdpa(32, 256, false)), 266240);
  EXPECT_EQ(sdpa_buffers(vision, vision, nullptr, sdpa(64, 256, false)), 329728);
  EXPECT_EQ(sdpa_buffers(vision, vision, nullptr, sdpa(128, 256, true)), 430080);
  EXPECT_EQ(sdpa_buffers(vision, vision, nullptr, sdpa(256, 256, false)), 587776);
  const TensorSpec q = tiles({1, 8, 816, 256});
  const TensorSpec k = tiles({1, 1, 816, 256});
  EXPECT_EQ(sdpa_buffers(q, k, nullptr, sdpa(32, 128, true)), 371200);
  EXPECT_EQ(sdpa_buffers(q, k, nullptr, sdpa(64, 128, false)), 505856);
  EXPECT_EQ(sdpa_buffers(q, k, nullptr, sdpa(128, 64, true)), 463872);
  const TensorSpec few = tiles({1, 8, 50, 256});
  const TensorSpec keys = tiles({1, 1, 928, 256});
  const TensorSpec mask = tiles({1, 1, 50, 928});
  EXPECT_EQ(sdpa_buffers(few, keys, &mask, sdpa(32, 32, true)), 151552);
  EXPECT_EQ(sdpa_buffers(few, keys, &mask, sdpa(64, 128, false)), 466944);
  EXPECT_EQ(sdpa_buffers(few, tiles({1, 1, 892, 256}), nullptr, sdpa(64, 128, true)), 443392);
}

TEST(CircularBuffers, OfNormsAreTtnns) {
  const Card& card = *find_card("n150");
  const ComputeKernelConfig fp32{MathFidelity::kHiFi4, false, true, true};
  const ComputeKernelConfig low{MathFidelity::kHiFi2, false, false, true};
  const auto bytes = [&](const TensorSpec& x, bool bias, bool centred,
                         const ComputeKernelConfig& compute) {
    const TensorSpec row = tiles({1, 1, 1, x.shape[3]});
    return norm_buffers(x, row, bias ? &row : nullptr, centred, compute, card);
  };
  EXPECT_EQ(bytes(tiles({3, 1, 256, 1152}), true, true, fp32), 622592);
  EXPECT_EQ(bytes(tiles({3, 1, 256, 1152}), true, true, low), 507904);
  EXPECT_EQ(bytes(tiles({2, 1, 5, 37}), true, true, fp32), 163840);
  EXPECT_EQ(bytes(tiles({1, 1, 816, 2048}), false, false, fp32), 622592);
  EXPECT_EQ(bytes(tiles({1, 1, 816, 2048}), true, false, fp32), 753664);
  EXPECT_EQ(bytes(tiles({1, 1, 50, 1024}), true, false, fp32), 425984);
  EXPECT_EQ(bytes(tiles({1, 1, 50, 1024}, DataType::kFloat32), false, false, fp32), 442368);
}

TEST(CircularBuffers, OfTheOthersAreTtnns) {
  EXPECT_EQ(rotary_buffers(tiles({1, 8, 816, 256}), tiles({1, 1, 832, 256})), 172032);
  EXPECT_EQ(rotary_buffers(tiles({1, 8, 50, 32}), tiles({1, 1, 64, 32})), 24576);
  EXPECT_EQ(create_heads_buffers(tiles({1, 1, 816, 2560})), 8192);
  EXPECT_EQ(copy_buffers(tiles({1, 1, 816, 512}), *find_card("n150")), 4096);
  const TensorSpec image =
      make_spec({3, 224, 16, 42}, DataType::kBfloat16, Layout::kRowMajor, Placement::kDram);
  EXPECT_EQ(fold_buffers(image, 14, 1, *find_card("p150")), 4760);
  EXPECT_EQ(fold_buffers(image, 14, 1, *find_card("n150")), 3864);
  const TensorSpec x = tiles({1, 1, 50, 1024});
  const TensorSpec row = tiles({1, 1, 1, 1024});
  BinaryOptions plain;
  EXPECT_EQ(binary_buffers(x, &x, x, plain), 3 * 4096);
  EXPECT_EQ(binary_buffers(x, &row, x, plain), 4 * 4096);
  EXPECT_EQ(binary_buffers(x, nullptr, x, plain), 4096 + 4096 + 2048);
  plain.lhs_activation = Unary::kGelu;
  EXPECT_EQ(binary_buffers(x, &x, x, plain), 3 * 4096 + 2048);
}

}  // namespace
}  // namespace pi0::emulated
