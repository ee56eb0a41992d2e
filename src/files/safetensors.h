// The safetensors format: https://github.com/huggingface/safetensors (eight bytes of header
// length, a JSON header, the tensors' bytes).
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/file.h"

namespace pi0 {

// One tensor of a file: a view into its mapping.
struct SafeTensor {
  std::string dtype;  // as in the header: "F32", "BF16", "F16", "U8", "I32", "BOOL", …
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// A file, or bytes in memory, whose header has been checked: every tensor lies in the data, on
// its own, without gap or overlap, and has as many bytes as its shape and type say.
class SafeTensors {
 public:
  // Throws Error (kIo when it cannot be read, else kInvalidCheckpoint) naming the file and what is
  // wrong: truncated, oversized, a header that is no JSON or has a name twice, tensors that overlap
  // or leave gaps, a size that does not follow from shape and type, an unknown type, a tensor whose
  // first byte's place in the file is not a multiple of its element size (so what open() maps is
  // aligned).
  static SafeTensors open(const std::filesystem::path& path);
  // `bytes` must outlive what is made of them.
  static SafeTensors parse(std::span<const std::byte> bytes, const std::string& where);

  const std::string& where() const { return where_; }
  const std::map<std::string, SafeTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Keeps the mapping alive; null for parse().
  const std::shared_ptr<const void>& owner() const { return owner_; }
  const std::shared_ptr<const OpenedFile>& file() const { return file_; }  // null for parse()

  // nullptr when there is no such tensor.
  const SafeTensor* find(const std::string& name) const;

 private:
  std::string where_;
  std::map<std::string, SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const OpenedFile> file_;
};

// A tensor's values of type T, each made into an Out by `convert`; its bytes need not be aligned.
template <typename T, typename Out, typename Convert>
std::vector<Out> converted(std::span<const std::byte> bytes, const Convert& convert) {
  std::vector<Out> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    values[i] = convert(value);
  }
  return values;
}
template <typename T>
std::vector<float> floats_of(std::span<const std::byte> bytes) {
  return converted<T, float>(bytes, [](T value) { return static_cast<float>(value); });
}

// A tensor to write; `bytes` are little-endian and row-major.
struct TensorToWrite {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string_view bytes;
};

// Writes the file whole or not at all (write_file). Throws Error (kIo).
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace pi0
