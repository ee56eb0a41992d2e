// The files of a directory that a server records into: calls-NNNNNNNNNNNN.msgpack, named by the
// number of the first call in it. See frames.h, recorded_call.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "files/file.h"
#include "record/recorded_call.h"

namespace pi0 {

struct RecordFileName {
  std::filesystem::path path = {};
  std::uint64_t first = 0;  // the number of its first call
};

std::string record_file_name(std::uint64_t first);

// The oldest first; other files are none of them. Throws Error (kIo) where it cannot be listed.
std::vector<RecordFileName> record_files(const std::filesystem::path& directory);

struct RecordFile {
  std::filesystem::path path;
  MappedFile file;
  RecordHead head;
  std::vector<std::span<const std::byte>> calls;  // for decode_call; of `file`
};

// `damaged` is told in a sentence, naming the file, of what in it cannot be read. Throws Error
// (kIo, kInvalidInput) naming it where nothing can.
RecordFile read_record_file(const std::filesystem::path& path,
                            const std::function<void(const std::string&)>& damaged);

}  // namespace pi0
