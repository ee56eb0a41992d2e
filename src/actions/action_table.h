// A chunk of actions as text for a person to read.
#pragma once

#include <string>

#include "pi0/policy.h"

namespace pi0 {

// One line a step, one column a dimension, its name above it. Dimensions that do not fit into
// `width` columns of a terminal follow in further blocks, each with its steps. A rule stands
// below the last step that the robot executes, unless it executes all. Where `hz`, the control
// steps in a second, is known (not 0), a column beside the steps says when each is, in seconds.
std::string action_table(const ActionChunk& chunk, int width = 80, double hz = 0);

}  // namespace pi0
