#include "serve/shared_batch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

#include "serve/compute.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

class ServerTestSharedBatch : public testing::Test {
 protected:
  ServerTestSharedBatch() {
    for (int i = 0; i < 5; ++i) {
      call_.observations.push_back({.observation = seen(0.1f * static_cast<float>(i))});
    }
  }
  // Until nothing of it is left to begin, and who helped is done.
  static void compute_on_two_threads(SharedBatch& batch) {
    const auto compute = [&batch] {
      Session session = local().session();
      while (batch.compute_one(session)) {
      }
    };
    std::jthread helper(compute);
    compute();
    EXPECT_FALSE(batch.open());
  }
  static CallBasis basis() { return {{.steps = 2, .seed = 3}, {}}; }

  Call call_;
};

TEST_F(ServerTestSharedBatch, IsWhatOneSessionComputes) {
  const Policy& policy = local();
  for (const bool with_noise : {false, true}) {
    CallBasis basis = this->basis();
    if (with_noise) {
      basis.sample.seed.reset();
      for (int i = 0; i < 5 * 16 * 8; ++i)
        basis.sample.noise.push_back(0.01f * static_cast<float>(i % 97));
    }
    Session alone = policy.session();
    const CallResult expected = compute_call(alone, call_.observations, basis, [] {});
    SharedBatch batch(call_, basis, [] {});
    compute_on_two_threads(batch);
    const auto [result, last] = batch.result();
    ASSERT_EQ(result.chunks.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(result.chunks[i].actions, expected.chunks[i].actions);
    }
    EXPECT_EQ(result.outputs, expected.outputs);
    EXPECT_EQ(last.actions, alone.last_chunk().actions);
    EXPECT_EQ(last.model_actions, alone.last_chunk().model_actions);
  }
}

// The owner has nothing left to begin, and waits for who helps.
TEST_F(ServerTestSharedBatch, WaitsForWhoHelps) {
  const Policy& policy = local();
  const Policy of_helper = Policy::load(kServedPolicy, served().devices.front());
  std::atomic<bool> held = true, begun = false;
  call_.observations.resize(2);
  const std::thread::id own = std::this_thread::get_id();
  SharedBatch batch(call_, basis(), [&] {
    if (std::this_thread::get_id() == own) return;
    begun = true;
    while (held) std::this_thread::yield();
  });
  std::thread helper([&] {
    Session session = of_helper.session();
    batch.compute_one(session);
  });
  while (!begun) std::this_thread::yield();
  Session session = policy.session();
  EXPECT_TRUE(batch.open());
  EXPECT_TRUE(batch.compute_one(session));
  EXPECT_FALSE(batch.compute_one(session));
  auto result = std::async(std::launch::async, [&] { return batch.result(); });
  EXPECT_EQ(result.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  held = false;
  EXPECT_EQ(result.get().first.chunks.size(), 2u);
  helper.join();
}

// Whoever failed: all of it has, and nothing more of it is begun.
TEST_F(ServerTestSharedBatch, FailsAsAWhole) {
  std::atomic<int> asked = 0;
  SharedBatch batch(call_, basis(), [&] {
    if (++asked == 20) throw std::runtime_error("enough");
  });
  compute_on_two_threads(batch);
  EXPECT_THROW(batch.result(), std::runtime_error);
  EXPECT_LT(asked, 40);
}

}  // namespace
}  // namespace pi0
