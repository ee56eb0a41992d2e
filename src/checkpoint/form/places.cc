#include "checkpoint/form/places.h"

#include <algorithm>

namespace pi0 {

bool holds_weights(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::exists(directory / "model.safetensors", ignored) ||
         std::filesystem::exists(directory / "model.safetensors.index.json", ignored);
}

bool is_hub_name(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) return false;
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  };
  std::string letters = name;
  letters.erase(slash, 1);
  return name[0] != '.' && name[0] != '-' && name.find("..") == std::string::npos &&
         std::all_of(letters.begin(), letters.end(), allowed);
}

}  // namespace pi0
