// Memory of activations: kept and handed out again, but not for ever.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "device/cpu/cpu_testing.h"
#include "device/cpu/scratch.h"

namespace pi0::cpu {
namespace {

TEST(BufferPoolTest, HandsOutAgain) {
  const auto pool = std::make_shared<BufferPool>();
  const std::byte* first;
  {
    const Buffer buffer(pool, 1000);
    first = buffer.as<std::byte>();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0u);
  }
  EXPECT_EQ(pool->allocations(), 1);
  const Buffer again(pool, 1000);
  EXPECT_EQ(again.as<std::byte>(), first);
  const Buffer another(pool, 1000);
  EXPECT_NE(another.as<std::byte>(), first);
  EXPECT_EQ(pool->allocations(), 2);
}

TEST(BufferPoolTest, MovedBuffersAreGivenBackOnce) {
  const auto pool = std::make_shared<BufferPool>();
  {
    Buffer a(pool, 100);
    Buffer b = std::move(a), c;
    EXPECT_FALSE(static_cast<bool>(c));
    c = std::move(b);
    EXPECT_TRUE(static_cast<bool>(c));
    c = Buffer(pool, 100);  // what it had goes back
    EXPECT_EQ(pool->allocations(), 2);
  }
  const Buffer d(pool, 100), e(pool, 100);
  EXPECT_EQ(pool->allocations(), 2);
}

// A buffer is as large as was asked for: sanitizers see what is not there.
TEST(BufferPoolTest, HasWhatIsAskedFor) {
  const auto pool = std::make_shared<BufferPool>();
  for (std::size_t bytes = 1; bytes < 5000; bytes += 37) {
    const Buffer buffer(pool, bytes);
    std::fill_n(buffer.as<std::byte>(), bytes, std::byte{1});
  }
}

// What a call takes, one thing after another: more in all than at any one time.
void call(const std::shared_ptr<BufferPool>& pool, std::size_t rows) {
  for (const std::size_t width : {1000, 5000, 2000, 9000, 300}) {
    const Buffer x(pool, rows * width), y(pool, rows * width);
  }
}

TEST(BufferPoolTest, ACallAfterTheFirstAllocatesNone) {
  const auto pool = std::make_shared<BufferPool>();
  call(pool, 800);
  const std::int64_t first = pool->allocations();
  for (int i = 0; i < 1000; ++i) call(pool, 800);
  EXPECT_EQ(pool->allocations(), first);
}

// Prompts of other lengths: most calls find what they need, and what the others have is bounded.
TEST(BufferPoolTest, StaysBoundedThroughShapesThatVary) {
  const auto pool = std::make_shared<BufferPool>();
  std::mt19937 generator(1);
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    call(pool, 700 + generator() % 201);
    most = std::max(most, pool->held_bytes());
  }
  // From 700 to 900 are 4 or 5 sizes, of which the largest is an eighth too large.
  EXPECT_LE(most, 5u * 2 * 900 * 17300 * 9 / 8);
  EXPECT_LE(pool->allocations(), 5 * 10);
}

TEST(BufferPoolTest, DropsWhatIsAskedForNoMore) {
  const auto pool = std::make_shared<BufferPool>();
  call(pool, 100000);
  for (int i = 0; i < 1000; ++i) call(pool, 800);
  call(pool, 1600);  // allocates
  EXPECT_LE(pool->held_bytes(), 2u * (800 + 1600) * 17300 * 9 / 8);
}

TEST(ThreadScratchTest, PartsAreApartAndAligned) {
  ThreadScratch scratch;
  for (const std::int64_t count : {5, 100, 17}) {  // longer, and shorter again
    scratch.start(ThreadScratch::rounded(static_cast<std::size_t>(count) * 4) +
                  ThreadScratch::rounded(static_cast<std::size_t>(count)));
    float* const floats = scratch.take<float>(count);
    auto* const bytes = scratch.take<std::byte>(count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(floats) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes) % 64, 0u);
    EXPECT_GE(bytes, reinterpret_cast<std::byte*>(floats + count));
    std::fill_n(floats, count, 1.0f);
    std::fill_n(bytes, count, std::byte{2});
  }
}

using CpuBuffersTest = CpuTest;

TEST_P(CpuBuffersTest, CallsAfterTheFirstAskForNone) {
  const auto pool = std::make_shared<BufferPool>();
  const std::unique_ptr<Device> device = make(2, pool);
  every_operation(*device);
  const std::int64_t first = pool->allocations();
  EXPECT_GT(first, 0);  // or this test counts nothing
  for (int call = 0; call < 3; ++call) every_operation(*device);
  EXPECT_EQ(pool->allocations(), first);
}

INSTANTIATE_TEST_SUITE_P(All, CpuBuffersTest,
                         testing::Combine(testing::ValuesIn(cpu::kEveryIsa),
                                          testing::ValuesIn(kEveryType)),
                         isa_and_type);

}  // namespace
}  // namespace pi0::cpu
