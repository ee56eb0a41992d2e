// Checkpoints to damage: a golden one, copied into a directory that goes with the test. For tests
// only.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/test_support.h"
#include "checkpoint/checkpoint.h"
#include "files/file.h"
#include "files/json.h"
#include "files/safetensors.h"

namespace pi0 {

inline const std::filesystem::path kGolden =
    std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden";

// A tensor with bytes of its own, to be changed and written back.
struct EditedTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

inline EditedTensor float_tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                                 const std::vector<float>& values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return {name, "F32", shape, {bytes, values.size() * sizeof(float)}};
}

class EditableCheckpoint {
 public:
  explicit EditableCheckpoint(const std::string& golden) {
    namespace fs = std::filesystem;
    for (const auto& entry : fs::directory_iterator(kGolden / golden)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("model") || name.starts_with("policy_p") ||
          name.starts_with("adapter_") || name == "config.json" || name == "assets") {
        fs::copy(entry.path(), directory_ / name, fs::copy_options::recursive);
      }
    }
  }

  std::filesystem::path operator/(const std::string& name) const { return directory_ / name; }
  const std::filesystem::path& path() const { return directory_.path(); }
  CheckpointData open(const CheckpointOverrides& options = {}) const {
    return open_checkpoint(path(), options);
  }

  void edit_json(const std::string& name, const std::function<void(Json&)>& edit) {
    Json json = read_json(directory_ / name);
    edit(json);
    write_file(directory_ / name, json.dump());
  }
  // At a JSON pointer: "/architecture/vision/width".
  void set(const std::string& name, const std::string& pointer, const Json& value) {
    edit_json(name, [&](Json& json) { json[Json::json_pointer(pointer)] = value; });
  }

  void edit_tensors(const std::string& name,
                    const std::function<void(std::vector<EditedTensor>&)>& edit) {
    std::vector<EditedTensor> tensors;
    std::map<std::string, std::string> metadata;
    {
      const SafeTensors file = SafeTensors::open(directory_ / name);
      metadata = file.metadata();
      for (const auto& [tensor, value] : file.tensors()) {
        const auto* bytes = reinterpret_cast<const char*>(value.bytes.data());
        tensors.push_back(
            {tensor, value.dtype, value.shape, std::string(bytes, value.bytes.size())});
      }
    }
    edit(tensors);
    std::vector<TensorToWrite> to_write;
    for (const EditedTensor& tensor : tensors) {
      to_write.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    }
    write_safetensors(directory_ / name, to_write, metadata);
  }
  // Replaces the tensor of the same name, or adds it.
  void put_tensor(const std::string& file, const EditedTensor& tensor) {
    edit_tensors(file, [&](std::vector<EditedTensor>& tensors) {
      std::erase_if(tensors, [&](const EditedTensor& old) { return old.name == tensor.name; });
      tensors.push_back(tensor);
    });
  }
  void erase_tensor(const std::string& file, const std::string& name) {
    edit_tensors(file, [&](std::vector<EditedTensor>& tensors) {
      const auto erased =
          std::erase_if(tensors, [&](const EditedTensor& tensor) { return tensor.name == name; });
      ASSERT_EQ(erased, 1u) << name;
    });
  }

  // Expects that opening it throws, with a sentence that holds `words`.
  void expect_refused(ErrorCode code, const std::vector<std::string>& words,
                      const CheckpointOverrides& options = {}) const {
    expect_error(code, words, [&] { open(options); });
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace pi0
