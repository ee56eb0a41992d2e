#include "device/ttnn/real/loaded_library.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <system_error>

namespace pi0 {
namespace {

struct Search {
  std::string_view name;
  std::optional<LibraryBuild> found;
};

int visit(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  const std::string path = info->dlpi_name;
  if (path.substr(path.rfind('/') + 1) != search.name) return 0;
  search.found = LibraryBuild{path, ""};
  for (int i = 0; i < info->dlpi_phnum && search.found->id.empty(); ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): where the loader has put the segment
    const auto* const notes = reinterpret_cast<const std::byte*>(info->dlpi_addr + segment.p_vaddr);
    search.found->id = build_id({notes, segment.p_memsz}, segment.p_align);
  }
  return 1;
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<int>(byte) >> 4];
    text += kDigits[std::to_integer<int>(byte) & 15];
  }
  return text;
}

// "0.71.2, build a87d3c88ea0e"; either may not be known.
std::string described(const std::string& release, const std::string& id) {
  const std::string build = id.empty() ? "a build without an id" : "build " + id.substr(0, 12);
  return release.empty() ? build : release + ", " + build;
}

}  // namespace

std::optional<LibraryBuild> loaded_library(std::string_view name) {
  Search search{name, std::nullopt};
  dl_iterate_phdr(visit, &search);
  return search.found;
}

std::string build_id(std::span<const std::byte> notes, std::size_t alignment) {
  const std::size_t step = alignment == 8 ? 8 : 4;
  const auto aligned = [&](std::size_t size) { return (size + step - 1) / step * step; };
  ElfW(Nhdr) note;  // of four-byte words in both classes
  while (notes.size() >= sizeof(note)) {
    std::memcpy(&note, notes.data(), sizeof(note));
    const std::size_t at = aligned(sizeof(note) + note.n_namesz);
    if (at > notes.size() || note.n_descsz > notes.size() - at) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
        std::memcmp(notes.data() + sizeof(note), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
      return hexadecimal(notes.subspan(at, note.n_descsz));
    }
    notes = notes.subspan(std::min(notes.size(), at + aligned(note.n_descsz)));
  }
  return "";
}

std::string wheel_version(const std::filesystem::path& library) {
  constexpr std::string_view kBefore = "ttnn-", kAfter = ".dist-info";
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(library, error);
  if (error) return "";
  // It is ttnn/build/lib/_ttnncpp.so, and the metadata lies beside ttnn.
  std::filesystem::directory_iterator at(file.parent_path() / "../../..", error), end;
  for (; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with(kBefore) && name.ends_with(kAfter)) {
      return name.substr(kBefore.size(), name.size() - kBefore.size() - kAfter.size());
    }
  }
  return "";
}

std::string other_build(const std::string& id, const std::string& release,
                        const std::optional<LibraryBuild>& loaded) {
  if (id.empty() || !loaded.has_value() || loaded->id == id) return "";
  return loaded->path + " (" + described(wheel_version(loaded->path), loaded->id) +
         ") is loaded, but libpi0 was built with another (" + described(release, id) +
         "); build libpi0 anew with the one that is to be loaded (cmake, then cmake --build), or "
         "let LD_LIBRARY_PATH name the folder of the other";
}

}  // namespace pi0
