// Messages that openpi's Python packed (tools/make_robot_goldens.py). For tests only.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "files/safetensors.h"
#include "pi0/error.h"
#include "wire/decode.h"

namespace pi0 {

class GoldenMessages {
 public:
  explicit GoldenMessages(const std::string& file = "messages.safetensors")
      : file_(SafeTensors::open(std::filesystem::path(PI0_SOURCE_DIR) / "testdata/robots" / file)) {
  }
  std::span<const std::byte> bytes(const std::string& name) const {
    const SafeTensor* const found = file_.find(name);
    if (!found) throw Error(ErrorCode::kIo, file_.where() + " has no " + name);
    return found->bytes;
  }
  // What the message holds lies in this object.
  ValueMap map(const std::string& name) const { return to_map(decode(bytes(name)), name); }
  const std::string& metadata(const std::string& key) const { return file_.metadata().at(key); }

 private:
  SafeTensors file_;
};

}  // namespace pi0
