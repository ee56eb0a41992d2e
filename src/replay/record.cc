#include "replay/record.h"

#include <fmt/format.h>

namespace pi0 {

RecordedCall Record::Entry::call() const { return decode_call(bytes); }

Record open_record(const std::filesystem::path& directory, const WhichCalls& which) {
  Record record;
  const auto warn = [&](const std::string& sentence) { record.warnings.push_back(sentence); };
  const auto add = [&](std::span<const std::byte> bytes) {
    const RecordFile& file = record.files.back();
    try {
      const RecordedCall call = decode_call(bytes);
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
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: none of its calls is asked for{}", directory.string(), damage));
}

}  // namespace pi0
