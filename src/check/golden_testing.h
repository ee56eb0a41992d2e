// What tests of devices against PyTorch share: the recordings in testdata/.
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

namespace pi0 {

inline const std::filesystem::path kSource = PI0_SOURCE_DIR;

// A recording beside the checkpoint that it is of.
struct GoldenFile {
  std::string checkpoint, file;
};
inline void PrintTo(const GoldenFile& golden, std::ostream* out) {
  *out << golden.checkpoint << ' ' << golden.file;
}

// In letters, digits and underscores, as a test's name is.
inline std::string golden_name(const GoldenFile& golden) {
  std::string name =
      std::filesystem::path(golden.checkpoint).filename().string() + "_" + golden.file;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

// All of them but episodes, in the order of their names.
inline std::vector<GoldenFile> golden_files() {
  std::vector<GoldenFile> files;
  for (const char* family : {"golden", "golden_extra"}) {
    for (const auto& directory :
         std::filesystem::directory_iterator(kSource / "testdata" / family)) {
      if (!exists(directory.path() / "config.json")) continue;
      for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        const std::string name = entry.path().filename().string();
        const bool recording = entry.path().extension() == ".safetensors" &&
                               !name.starts_with("model") && name.find("_step_") == name.npos;
        if (recording) files.push_back({directory.path().string(), name});
      }
    }
  }
  std::sort(files.begin(), files.end(), [](const GoldenFile& a, const GoldenFile& b) {
    return std::tie(a.checkpoint, a.file) < std::tie(b.checkpoint, b.file);
  });
  return files;
}

}  // namespace pi0
