// An observation, to be recognised later by what it says.
#pragma once

#include <cstddef>
#include <vector>

#include "pi0/observation.h"

namespace pi0 {

// Its own copy, of the pixels that views look at too: a camera may write others over them.
class KeptObservation {
 public:
  // Of an observation that a Pipeline has prepared, so that its views can be read.
  explicit KeptObservation(const Observation& observation);
  KeptObservation(KeptObservation&&) = default;
  KeptObservation& operator=(KeptObservation&&) = default;

  // Whether `other` says the same, wherever its pixels lie now. Throws Error (kInvalidInput) where
  // one of its views cannot be read.
  bool says(const Observation& other) const;

 private:
  Observation observation_;  // its views are of pixels_
  std::vector<std::vector<std::byte>> pixels_;
};

}  // namespace pi0
