// What libpi0 throws when something that it was given cannot be used.
//
//   try {
//     auto policy = pi0::Policy::load("checkpoint/");
//   } catch (const pi0::Error& error) {
//     std::cerr << error.what() << '\n';  // one sentence: what was wrong, found, expected
//   }
#pragma once

#include <stdexcept>
#include <string>

#include "pi0/export.h"

namespace pi0 {

enum class ErrorCode {
  kInvalidCheckpoint,  // a file of the checkpoint is absent, damaged, or contradicts another
  kInvalidInput,       // an observation, a recording or an option that does not fit
  kIo,                 // a file that cannot be read or written
  kUnsupported,        // understood, but not offered here (a device, a feature of a checkpoint)
  kOutOfMemory,        // what it would take is more than the machine has
  kLimit,              // a result is over a limit that the caller set (a jump between two chunks)
  kServer,             // of a Client: no answer in time, from a server that is away, busy or broken
  kNotFinite,          // the network computed NaN or infinity: its weights overflow
};

// The only exception that the library throws on purpose. `what()` is one sentence that names the
// file, tensor, key or argument, what was found, and what was expected.
class PI0_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace pi0
