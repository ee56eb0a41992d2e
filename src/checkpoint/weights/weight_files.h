// The safetensors files of a checkpoint, one or several, as one list of tensors under openpi's
// names. Mapped: nothing of a tensor is read here.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/host_tensor.h"
#include "files/json.h"
#include "files/safetensors.h"

namespace pi0 {

// The "weight_map" of a model.safetensors.index.json: tensor -> file beside it. Throws Error naming
// `where` when it is not of that form, or a file lies elsewhere ("../x", "/x").
std::map<std::string, std::string> parse_shard_index(const Json& index, const std::string& where);

// Throws Error naming `where` unless `name` is a relative path that stays in the directory.
void require_beside(const std::string& name, const std::string& where);

// openpi's name of a tensor, without what lerobot's fine-tunes ("model."), torch.compile and DDP
// put into it.
std::string plain_name(std::string name);

// Of a safetensors type; none of one that weights are not read in.
std::optional<DType> weight_type(const std::string& dtype);

// A view of a tensor of `file`, whose type must be one of weights'; `name` is what errors call it.
HostTensor mapped_tensor(const SafeTensors& file, const std::string& name,
                         const SafeTensor& tensor);

class WeightFiles {
 public:
  struct Located {
    const SafeTensors* file;
    std::string name;  // in that file, perhaps with "model." before it
    const SafeTensor* tensor;
  };

  // Opens model.safetensors, or else the shards that model.safetensors.index.json names. Throws
  // Error naming what is absent or damaged, a tensor that its shard lacks or that is there twice.
  static std::shared_ptr<const WeightFiles> open(const std::filesystem::path& directory);

  // By openpi's name (without "model."). nullptr when there is none.
  const Located* find(std::string_view name) const;
  // The token embedding under either of its two names (model/weights.h), nullptr without any.
  const Located* find_embedding() const;

  const std::map<std::string, Located, std::less<>>& tensors() const { return tensors_; }
  // lerobot 0.3 has its statistics among the weights: under their own names, not among tensors().
  const std::map<std::string, SafeTensor>& statistics() const { return statistics_; }
  const std::vector<std::string>& names() const { return names_; }  // of the files
  std::vector<std::shared_ptr<const OpenedFile>> opened() const;
  // What an error names: the file, or the index of several.
  const std::string& where() const { return where_; }

 private:
  void add(const SafeTensors& file, const std::string& name);

  std::string where_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<const SafeTensors>> files_;
  std::map<std::string, Located, std::less<>> tensors_;
  std::map<std::string, SafeTensor> statistics_;
};

}  // namespace pi0
