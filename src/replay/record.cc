#include "replay/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace pi0 {

RecordedCall Record::Entry::call() const { return decode_call(bytes); }

Record open_record(const std::filesystem::path& directory, const WhichCalls& which) {
  Record record;
  std::optional<std::uint64_t> first, last;  // of all that can be read
  const auto warn = [&](const std::string& sentence) { record.warnings.push_back(sentence); };
  const auto add = [&](std::span<const std::byte> bytes) {
    const RecordFile& file = record.files.back();
    try {
      const RecordedCall call = decode_call(bytes);
      first = std::min(first.value_or(call.number), call.number);
      last = std::max(last.value_or(call.number), call.number);
      if (which.call && call.number != *which.call) return;
      if (which.client && call.client != *which.client) return;
      record.calls.push_back({record.files.size() - 1, bytes, call.client});
    } catch (const Error& error) {
      warn(fmt::format("{}: a call is left out: {}", file.path.string(), error.what()));
    }
  };
  for (const RecordFileName& name : record_files(directory)) {
    try {
      record.files.push_back(read_record_file(name.path, warn));
      for (const std::span<const std::byte> bytes : record.files.back().calls) add(bytes);
    } catch (const Error& error) {
      warn(error.what());
    }
  }
  if (!record.calls.empty()) return record;
  const std::string damage = record.warnings.empty() ? "" : "; " + record.warnings.front();
  if (record.files.empty()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: no calls-*.msgpack that can be read, expected those of pi0 serve "
                            "--record{}",
                            directory.string(), damage));
  }
  if (!first) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: no call can be read{}", directory.string(), damage));
  }
  std::string asked;
  if (which.call) asked += fmt::format(" is number {}", *which.call);
  if (which.client)
    asked += fmt::format("{} is of client {}", asked.empty() ? "" : " and", *which.client);
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: none of its calls, {} to {},{}{}", directory.string(), *first, *last,
                          asked, damage));
}

}  // namespace pi0
