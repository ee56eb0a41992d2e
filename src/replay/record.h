// The calls of a directory that a server recorded into, the oldest first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "record/record_files.h"

namespace pi0 {

// Which of them: the one of that number, those of that client.
struct WhichCalls {
  std::optional<std::uint64_t> call = {};
  std::optional<std::uint64_t> client = {};
};

struct Record {
  struct Entry {
    std::size_t file = 0;
    std::span<const std::byte> bytes = {};
    std::uint64_t client = 0;

    RecordedCall call() const;
  };
  std::vector<RecordFile> files = {};
  std::vector<Entry> calls = {};
  std::vector<std::string> warnings = {};  // what could not be read, a sentence each
};

// Throws Error (kIo, kInvalidInput) naming the directory where no such call is in it.
Record open_record(const std::filesystem::path& directory, const WhichCalls& which);

}  // namespace pi0
