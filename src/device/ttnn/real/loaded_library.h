// Which build of a shared library this process has loaded, and whether it is the one that libpi0
// was compiled with: TTNN's have no version in their names, and tell none.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pi0 {

struct LibraryBuild {
  std::string path;  // as the dynamic loader found it
  std::string id;    // the linker's build id in hexadecimal; empty where the library bears none
};

// That of the loaded library whose file is called `name`; none where there is no such one.
std::optional<LibraryBuild> loaded_library(std::string_view name);

// The build id in an ELF segment of notes that is aligned so; empty where there is none.
std::string build_id(std::span<const std::byte> notes, std::size_t alignment);

// The release of the wheel `ttnn` that `library` was unpacked from, by the metadata beside its
// package (ttnn-0.71.2.dist-info); empty elsewhere.
std::string wheel_version(const std::filesystem::path& library);

// Why what is loaded must not be called by code that was compiled with the build `id` of `release`
// (empty where it was not told): it is another build, of whatever release. Another one's structures
// and functions may differ without a sign, and those of one release do with how it was configured.
// Empty where it may be called: the same build, or one that was not told (`id` empty), or none.
std::string other_build(const std::string& id, const std::string& release,
                        const std::optional<LibraryBuild>& loaded);

}  // namespace pi0
