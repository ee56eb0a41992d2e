#include "device/ttnn/config/attention_config.h"

#include <gtest/gtest.h>

#include "pi0/error.h"

namespace pi0 {
namespace {

// What TTNN 0.71.2 allocates, measured on its mock of an n150 with two chunks of queries a core.
TEST(AttentionConfigTest, CountsCircularBuffersAsTtnnDoes) {
  const AttentionShape siglip{.pairs = 48, .queries = 256, .keys = 256, .head_dim = 96};
  EXPECT_EQ(circular_buffer_bytes(siglip, {128, 256}), 430080);
  EXPECT_EQ(circular_buffer_bytes(siglip, {128, 128}), 299008);
  const AttentionShape gemma{.pairs = 8, .queries = 816, .keys = 816, .head_dim = 256};
  EXPECT_EQ(circular_buffer_bytes(gemma, {64, 128}), 476160);
  EXPECT_EQ(circular_buffer_bytes(gemma, {128, 64}), 463872 + 65536);  // one chunk a core there
}

TEST(AttentionConfigTest, KeepsWithinItsBudget) {
  const Card& card = *find_card("n150");
  for (const std::int64_t queries : {1, 50, 256, 817, 968}) {
    for (const std::int64_t keys : {1, 33, 256, 928}) {
      for (const std::int64_t head_dim : {32, 96, 256}) {
        const AttentionShape shape{8, queries, keys, head_dim, keys > 256};
        const AttentionChunks chunks = attention_chunks(shape, card, 600 * 1024);
        EXPECT_EQ(chunks.queries % 32, 0);
        EXPECT_EQ(chunks.keys % 32, 0);
        EXPECT_GT(chunks.queries * chunks.keys, 0);
        EXPECT_LE(circular_buffer_bytes(shape, chunks), 600 * 1024);
      }
    }
  }
}

TEST(AttentionConfigTest, LeavesNoCoreIdleForLongerChunks) {
  const Card& card = *find_card("n150");
  const AttentionShape expert{8, 50, 928, 256, true};
  EXPECT_EQ(attention_chunks(expert, card, 600 * 1024).queries, 32);  // 16 cores, not 8
}

TEST(AttentionConfigTest, SaysWhatDoesNotFit) {
  try {
    attention_chunks({8, 50, 928, 2048, true}, *find_card("n150"), 600 * 1024);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    for (const char* words : {"heads of 2048", "n150", "--device cpu"}) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace pi0
