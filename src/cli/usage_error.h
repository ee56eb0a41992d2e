// What the option parser refuses, in one sentence.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pi0 {

// What was wrong with the command line that `command` refused with `error`: an unknown verb or
// option with the known one that is nearest to it, or the parser's own words with the verb; and
// where to read more.
std::string usage_sentence(const CLI::App& command, const CLI::ParseError& error);

}  // namespace pi0
