// Plays recorded calls on a policy in this process.
#pragma once

#include <functional>

#include "pi0/policy.h"
#include "replay/played_call.h"
#include "replay/record.h"

namespace pi0 {

// One after another, in the record's order, each told to `played`. Those of a file that was
// recorded of a policy of other sizes are not compared, and say why.
void replay(const Record& record, const Checkpoint& checkpoint, const Policy& policy,
            const Tolerances& tolerances, const std::function<void(PlayedCall)>& played);

}  // namespace pi0
