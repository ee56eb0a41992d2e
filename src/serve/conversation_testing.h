// A conversation without a network, for the tests of it and of what becomes of it.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "serve/conversation.h"

namespace pi0 {

// The thread that a server handles its connections on, in a test's hands.
class Loop {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      std::unique_lock lock(mutex_);
      ASSERT_TRUE(
          changed_.wait_for(lock, std::chrono::seconds(60), [&] { return !tasks_.empty(); }));
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
};

// Where a client would read.
struct Answers : Channel {
  void send(std::vector<std::byte> frame, bool, std::function<void()> sent) override {
    frames.push_back(std::move(frame));
    if (sent) sent();
  }
  void close(std::uint16_t, std::string_view) override {}

  std::vector<std::vector<std::byte>> frames = {};
};

}  // namespace pi0
