#include "device/ttnn/config/matmul_config.h"

#include <gtest/gtest.h>

#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::int64_t kBudget = 600 * 1024;

// What TTNN 0.71.2 allocates for these, measured on its mock of an n150 (circular_buffer_allocate
// nodes of a graph capture).
TEST(MatmulConfigTest, CountsCircularBuffersAsTtnnDoes) {
  struct Case {
    const char* name;
    MatmulShape shape;
    shim::MatmulProgramConfig config;
    std::int64_t bytes;
  };
  const std::int64_t bfp8 = 1088, fp32 = 4096;
  const auto blocks = [](int k, int h, int w) {
    shim::MatmulProgramConfig config;
    config.in0_block_w = k;
    config.out_block_h = h;
    config.out_block_w = w;
    return config;
  };
  const Case cases[] = {
      {"siglip qkv", {.inner = 36, .in1_tile_bytes = bfp8, .bias = true}, blocks(4, 3, 18), 574464},
      {"patches", {.inner = 19, .in1_tile_bytes = bfp8, .bias = true}, blocks(19, 3, 5), 322496},
      {"gemma gate", {.inner = 64, .in1_tile_bytes = bfp8}, blocks(4, 4, 16), 598016},
      {"gemma down", {.inner = 512, .in1_tile_bytes = bfp8}, blocks(8, 4, 8), 466944},
      {"expert qkv", {.inner = 32, .in1_tile_bytes = bfp8}, blocks(32, 2, 2), 225280},
      {"action in", {.inner = 1, .in0_tile_bytes = fp32, .bias = true}, blocks(1, 2, 1), 24576},
      {"action out", {.inner = 32, .out_tile_bytes = fp32, .bias = true}, blocks(32, 2, 1), 206848},
      {"time", {.inner = 32, .bias = true}, blocks(32, 1, 1), 139264},
  };
  for (const Case& c : cases)
    EXPECT_EQ(circular_buffer_bytes(c.shape, c.config), c.bytes) << c.name;
}

// The conditions that TTNN states for the two kinds of configuration.
void expect_legal(const MatmulShape& shape, const Card& card,
                  const shim::MatmulProgramConfig& config) {
  const std::string what = card.name + " " + std::to_string(shape.rows) + " x " +
                           std::to_string(shape.inner) + " x " + std::to_string(shape.columns);
  EXPECT_EQ(shape.inner % config.in0_block_w, 0) << what;
  EXPECT_EQ(config.per_core_M % config.out_block_h, 0) << what;
  EXPECT_EQ(config.per_core_N % config.out_block_w, 0) << what;
  EXPECT_EQ(config.out_block_h % config.out_subblock_h, 0) << what;
  EXPECT_EQ(config.out_block_w % config.out_subblock_w, 0) << what;
  EXPECT_LE(config.out_subblock_h * config.out_subblock_w, shape.fp32_dest_acc_en ? 4 : 8) << what;
  const int blocks_x = (shape.columns + config.per_core_N - 1) / config.per_core_N;
  const int blocks_y = (shape.rows + config.per_core_M - 1) / config.per_core_M;
  if (config.one_dimension) {
    EXPECT_GE(config.per_core_M, shape.rows) << what;
    EXPECT_LE(blocks_x, card.cores()) << what;
  } else {
    EXPECT_LE(blocks_x, card.grid_x) << what;
    EXPECT_LE(blocks_y, card.grid_y) << what;
  }
  EXPECT_LE(circular_buffer_bytes(shape, config), kBudget) << what;
}

TEST(MatmulConfigTest, IsLegalForEverySize) {
  for (const std::string& name : card_names()) {
    const Card& card = *find_card(name);
    for (const int rows : {1, 2, 4, 5, 24, 26, 31, 97}) {
      for (const int inner : {1, 2, 19, 36, 64, 127, 135, 512}) {
        for (const int columns : {1, 3, 36, 80, 135, 257, 512}) {
          for (const bool fp32 : {true, false}) {
            const MatmulShape shape{.rows = rows,
                                    .inner = inner,
                                    .columns = columns,
                                    .in0_tile_bytes = 2048,
                                    .in1_tile_bytes = 2048,
                                    .out_tile_bytes = 2048,
                                    .fp32_dest_acc_en = fp32,
                                    .bias = true};
            expect_legal(shape, card, matmul_config(shape, card, kBudget));
          }
        }
      }
    }
  }
}

TEST(MatmulConfigTest, UsesTheCoresThatThereAre) {
  const Card& card = *find_card("n150");
  // Gemma's hidden layer: no core is left out where the tiles suffice for all.
  const shim::MatmulProgramConfig wide = matmul_config(
      {.rows = 26, .inner = 64, .columns = 256, .in1_tile_bytes = 1088}, card, kBudget);
  EXPECT_FALSE(wide.one_dimension);
  EXPECT_EQ(wide.per_core_N, 32);
  EXPECT_GE(wide.out_subblock_h * wide.out_subblock_w, 4);
  // The expert's: two rows of tiles, every core a share of the columns.
  const shim::MatmulProgramConfig flat = matmul_config(
      {.rows = 2, .inner = 32, .columns = 128, .in1_tile_bytes = 1088}, card, kBudget);
  EXPECT_TRUE(flat.one_dimension);
  EXPECT_EQ(flat.per_core_N, 2);
}

TEST(MatmulConfigTest, SaysWhatDoesNotFit) {
  const Card& card = *find_card("n150");
  try {
    matmul_config({.rows = 5000, .inner = 64, .columns = 64}, card, kBudget);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    for (const char* words : {"5000 x 64 x 64 tiles", "n150", "fewer cameras", "--device cpu"}) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace pi0
