// Arguments of real-time chunking: the chunk before, and how the new one continues it.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "actions/action_files.h"
#include "pi0/policy.h"

namespace pi0 {

struct RtcArguments {
  std::filesystem::path last_chunk;  // empty: none is continued
  std::string mode;
  std::string schedule;
  RealTimeChunking rtc;
};

// Adds --rtc-last-chunk and what goes with it.
void add_rtc_options(CLI::App& verb, RtcArguments& arguments);

// The chunk before, and in `arguments.rtc` how it is continued; nothing where there is none. Throws
// Error naming the file or the argument and what does not fit a policy of `dims` action dimensions.
std::optional<RecordedActions> read_last_chunk(RtcArguments& arguments, int dims);

// What is left of it from the new chunk's row 0 on; no rows where nothing is.
RecordedActions left_over_of(const RecordedActions& last_chunk, const RealTimeChunking& rtc);

}  // namespace pi0
