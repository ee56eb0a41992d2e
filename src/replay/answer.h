// What a server answered to a recorded request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "replay/played_call.h"

namespace pi0 {

struct Answer {
  Outcome outcome = {};   // without outputs, which are not told
  std::int64_t dims = 0;  // of its actions: the robot's
  std::string device = {};
};

// A frame of either kind; what is no answer is an error.
Answer read_answer(std::span<const std::byte> frame, bool binary);

// The same with no more dimensions of its actions than that, as the server of a robot answers.
RecordedCall with_dims(RecordedCall recorded, std::int64_t dims);

}  // namespace pi0
