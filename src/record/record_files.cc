#include "record/record_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "record/frames.h"

namespace pi0 {
namespace {

constexpr std::string_view kBegin = "calls-", kEnd = ".msgpack";

}  // namespace

std::string record_file_name(std::uint64_t first) {
  return fmt::format("{}{:012}{}", kBegin, first, kEnd);
}

std::vector<RecordFileName> record_files(const std::filesystem::path& directory) {
  std::vector<RecordFileName> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) continue;
    const std::string_view digits =
        std::string_view(name).substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
    std::uint64_t first = 0;
    const char* const last = digits.data() + digits.size();
    const auto [stop, wrong] = std::from_chars(digits.data(), last, first);
    if (wrong == std::errc() && stop == last && name == record_file_name(first)) {
      files.push_back({at->path(), first});
    }
  }
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: cannot be listed: {}", directory.string(), error.message()));
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return files;
}

RecordFile read_record_file(const std::filesystem::path& path,
                            const std::function<void(const std::string&)>& damaged) {
  RecordFile record{path, MappedFile(path), {}, {}};
  std::vector<std::string> damages;
  record.calls = read_frames(record.file.bytes(), [&](const std::string& sentence) {
    damages.push_back(fmt::format("{}: {}", path.string(), sentence));
  });
  if (record.calls.empty()) {
    throw Error(
        ErrorCode::kInvalidInput,
        path.string() + ": no call can be read in it, expected what pi0 serve --record writes");
  }
  try {
    record.head = decode_head(record.calls.front());
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", path.string(), error.what()));
  }
  record.calls.erase(record.calls.begin());
  for (const std::string& damage : damages) damaged(damage);
  return record;
}

}  // namespace pi0
