#include "checkpoint/form/sizes.h"

#include <string_view>

#include "checkpoint/form/sentence.h"

namespace pi0 {
namespace {

constexpr std::string_view kLora = "_lora";
bool is_lora(const std::string& variant) { return variant.ends_with(kLora); }

constexpr int kMaxDepth = 1024;  // far above any, and the list of tensors stays small

// openpi's models/gemma.py, get_config. A network that was trained with adapters has the sizes of
// its base.
GemmaConfig variant(const Json& config, const std::string& key, const std::string& where,
                    const char* fallback) {
  std::string name = get_string(config, key, where, fallback);
  if (is_lora(name)) name.resize(name.size() - kLora.size());
  if (name == "gemma_2b") return {2048, 18, 16384, 8, 1, 256};
  if (name == "gemma_300m") return {1024, 18, 4096, 8, 1, 256};
  fail(where,
       "\"" + key + "\" is " + describe(name) +
           ", which is not supported; gemma_2b and gemma_300m are",
       ErrorCode::kUnsupported);
}

void read_gemma(const Json& architecture, const std::string& key, const std::string& where,
                GemmaConfig& gemma) {
  const Json* sizes = find_object(architecture, key, where);
  if (!sizes) return;
  const std::string at = where + "." + key;
  gemma.width = get_int(*sizes, "width", at, gemma.width, 1, kMaxSize);
  gemma.depth = get_int(*sizes, "depth", at, gemma.depth, 1, kMaxDepth);
  gemma.mlp_dim = get_int(*sizes, "mlp_dim", at, gemma.mlp_dim, 1, kMaxSize);
  gemma.num_heads = get_int(*sizes, "num_heads", at, gemma.num_heads, 1, kMaxSize);
  gemma.num_kv_heads = get_int(*sizes, "num_kv_heads", at, gemma.num_kv_heads, 1, kMaxSize);
  gemma.head_dim = get_int(*sizes, "head_dim", at, gemma.head_dim, 1, kMaxSize);
}

}  // namespace

std::vector<std::string> lora_variants(const Json& config, const std::string& where) {
  std::vector<std::string> found;
  for (const char* key : {"paligemma_variant", "action_expert_variant"}) {
    std::string name = get_string(config, key, where, "");
    if (is_lora(name)) found.push_back(std::move(name));
  }
  return found;
}

void read_sizes(const Json& config, const std::string& where, ModelConfig& model) {
  model.language = variant(config, "paligemma_variant", where, "gemma_2b");
  model.expert = variant(config, "action_expert_variant", where, "gemma_300m");
  model.vocab_size = 0;
  const Json* architecture = find_object(config, "architecture", where);
  if (!architecture) return;
  const std::string at = where + ": architecture";
  if (const Json* sizes = find_object(*architecture, "vision", at)) {
    VisionConfig& vision = model.vision;
    const std::string in_vision = at + ".vision";
    vision.width = get_int(*sizes, "width", in_vision, vision.width, 1, kMaxSize);
    vision.depth = get_int(*sizes, "depth", in_vision, vision.depth, 1, kMaxDepth);
    vision.mlp_dim = get_int(*sizes, "mlp_dim", in_vision, vision.mlp_dim, 1, kMaxSize);
    vision.num_heads = get_int(*sizes, "num_heads", in_vision, vision.num_heads, 1, kMaxSize);
    vision.patch_size = get_int(*sizes, "patch_size", in_vision, vision.patch_size, 1, kMaxSize);
  }
  read_gemma(*architecture, "language", at, model.language);
  read_gemma(*architecture, "expert", at, model.expert);
  model.vocab_size = get_int(*architecture, "vocab_size", at, 0, 1, kMaxSize);
}

}  // namespace pi0
