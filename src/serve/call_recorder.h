// Keeps calls that came to an end, as `pi0 replay` plays them.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "record/recorder.h"
#include "serve/call.h"
#include "serve/model.h"

namespace pi0 {

// For one thread; see Recorder.
class CallRecorder {
 public:
  CallRecorder(const ServerOptions& options, std::function<void(const std::string&)> say)
      : options_(options), recorder_(options.record, options.record_bytes, std::move(say)) {}

  // The call is kept until it is written. `model`: which it was for; `devices`: their names.
  void add(const Call& call, const std::variant<CallResult, CallError>& outcome,
           const std::shared_ptr<const ServedModel>& model,
           const std::vector<std::string>& devices);

  std::uint64_t written() const { return recorder_.written(); }
  std::uint64_t dropped() const { return recorder_.dropped(); }

 private:
  const ServerOptions& options_;
  Recorder recorder_;
  std::shared_ptr<const ServedModel> model_;
  std::shared_ptr<const RecordHead> head_;  // of that
};

}  // namespace pi0
