// A recorded request as a server reads it.
#pragma once

#include <memory>

#include "pi0/policy.h"
#include "record/recorded_call.h"
#include "robots/robot.h"
#include "serve/call.h"

namespace pi0 {

// Throws Error (kInvalidInput) where the head's metadata tell none.
Robot recorded_robot(const RecordHead& head);

// Throws Error (kInvalidInput) where the recorded policy's sizes are not this checkpoint's.
void require_fitting(const RecordHead& head, const Checkpoint& checkpoint);

// With `basis` as it was: the noise itself, in place of a seed. Throws Error (kInvalidInput) as the
// server did.
std::shared_ptr<const Call> read_recorded(const RecordedCall& recorded, const Robot& robot,
                                          const std::optional<std::string>& prompt);

}  // namespace pi0
