// The command `pi0`, but for its main().
#pragma once

namespace pi0 {

// Returns the exit status: 0, 1 where a verdict failed, 2 after an error, which it prints.
int run_command(int argc, char** argv);

}  // namespace pi0
