// Whether an output can be written, asked before the minutes that computing it may take.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace pi0 {

// The path's extension in lower case, with its dot (".json").
std::string extension_of(const std::filesystem::path& path);

// Throws Error (kInvalidInput) listing `extensions` when the path's is not among them, and Error
// (kIo) when write_file() could not write there: no such folder, no right to, a folder itself.
// Leaves nothing behind, and what is there untouched.
void require_writable(const std::filesystem::path& path,
                      std::span<const std::string_view> extensions);

}  // namespace pi0
