// The part of a call that a server and a replay of it have in common.
#pragma once

#include <functional>
#include <span>

#include "pi0/error.h"
#include "serve/call.h"

namespace pi0 {

// `chunks` and `outputs` alone. `ask` is called on the way, and may throw to stop it. A seed is the
// first observation's, those that follow have the next ones; noise is an equal part for each.
CallResult compute_call(Session& session, std::span<const RobotObservation> observations,
                        const CallBasis& basis, const std::function<void()>& ask);

// The code of a CallError where it throws that.
const char* code_of(ErrorCode code);

}  // namespace pi0
