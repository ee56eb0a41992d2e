#include "serve/shared_batch.h"

#include "policy/batch_options.h"
#include "serve/compute.h"

namespace pi0 {

SharedBatch::SharedBatch(const Call& call, CallBasis basis, std::function<void()> ask)
    : call_(call),
      basis_(std::move(basis)),
      ask_(std::move(ask)),
      parts_(call.observations.size()) {}

bool SharedBatch::open() const {
  const std::lock_guard lock(mutex_);
  return open_locked();
}

bool SharedBatch::compute_one(Session& session) {
  std::size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!open_locked()) return false;
    index = begun_++;
    ++computing_;
  }
  const auto ask = [this] {
    {
      const std::lock_guard lock(mutex_);
      if (failure_) std::rethrow_exception(failure_);
    }
    ask_();
  };
  Part part;
  LastChunk last;
  std::exception_ptr failure;
  try {
    CallResult one =
        compute_call(session, std::span(call_.observations).subspan(index, 1),
                     {options_of_one(basis_.sample, index, parts_.size()), basis_.last}, ask);
    part = {std::move(one.chunks.front()), std::move(one.outputs.front())};
    last = session.last_chunk();
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    parts_[index] = std::move(part);
    if (index + 1 == parts_.size()) last_ = std::move(last);
    if (failure && !failure_) failure_ = failure;
    --computing_;
  }
  ended_.notify_all();
  return true;
}

std::pair<CallResult, LastChunk> SharedBatch::result() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return computing_ == 0 && !open_locked(); });
  if (failure_) std::rethrow_exception(failure_);
  CallResult result;
  for (Part& part : parts_) {
    result.chunks.push_back(std::move(part.chunk));
    result.outputs.push_back(std::move(part.output));
  }
  return {std::move(result), std::move(last_)};
}

}  // namespace pi0
