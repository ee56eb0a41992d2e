// The command's verbs, one file each. A function adds its verb's arguments to the command; where
// the verb is chosen, `run` becomes what does it and returns the exit status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace pi0 {

inline constexpr int kExitOk = 0;
inline constexpr int kExitVerdict = 1;  // it ran, and what it judged is not as it should be
inline constexpr int kExitError = 2;    // bad usage, bad input, or the machine cannot

using Run = std::function<int()>;

void add_audit(CLI::App& command, Run& run);
void add_bench(CLI::App& command, Run& run);
void add_compare(CLI::App& command, Run& run);
void add_doctor(CLI::App& command, Run& run);
void add_info(CLI::App& command, Run& run);
void add_replay(CLI::App& command, Run& run);
void add_run(CLI::App& command, Run& run);
void add_serve(CLI::App& command, Run& run);
void add_verify(CLI::App& command, Run& run);

}  // namespace pi0
