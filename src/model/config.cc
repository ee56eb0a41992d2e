#include "model/config.h"

#include "pi0/error.h"

namespace pi0 {
namespace {

struct Validator {
  const std::string& where;

  void require(bool holds, const std::string& sentence) const {
    if (!holds) throw Error(ErrorCode::kInvalidCheckpoint, where + ": " + sentence);
  }
  void positive(const char* name, long value) const {
    // The upper bound keeps products of two sizes far from overflow.
    require(value > 0 && value <= (1 << 24),
            std::string(name) + " is " + std::to_string(value) + ", expected 1 to 16777216");
  }
  void gemma(const std::string& name, const GemmaConfig& gemma) const {
    positive((name + ".width").c_str(), gemma.width);
    positive((name + ".depth").c_str(), gemma.depth);
    positive((name + ".mlp_dim").c_str(), gemma.mlp_dim);
    positive((name + ".num_heads").c_str(), gemma.num_heads);
    positive((name + ".num_kv_heads").c_str(), gemma.num_kv_heads);
    positive((name + ".head_dim").c_str(), gemma.head_dim);
    require(gemma.num_heads % gemma.num_kv_heads == 0,
            name + ".num_heads (" + std::to_string(gemma.num_heads) +
                ") is not a multiple of its num_kv_heads (" + std::to_string(gemma.num_kv_heads) +
                ")");
    require(gemma.head_dim % 2 == 0,
            name + ".head_dim is " + std::to_string(gemma.head_dim) +
                ", expected an even number (rotary embedding pairs its halves)");
  }
  void same(const char* name, int language, int expert) const {
    require(language == expert, std::string("language.") + name + " is " +
                                    std::to_string(language) + " but expert." + name + " is " +
                                    std::to_string(expert) +
                                    ", expected the same: the two share attention");
  }
};

}  // namespace

void validate(const ModelConfig& config, const std::string& where) {
  const Validator check{where};
  const VisionConfig& vision = config.vision;
  check.positive("vision.width", vision.width);
  check.positive("vision.depth", vision.depth);
  check.positive("vision.mlp_dim", vision.mlp_dim);
  check.positive("vision.num_heads", vision.num_heads);
  check.positive("vision.patch_size", vision.patch_size);
  check.require(vision.width % vision.num_heads == 0,
                "vision.width (" + std::to_string(vision.width) +
                    ") is not a multiple of vision.num_heads (" + std::to_string(vision.num_heads) +
                    ")");
  check.gemma("language", config.language);
  check.gemma("expert", config.expert);
  check.same("depth", config.language.depth, config.expert.depth);
  check.same("num_heads", config.language.num_heads, config.expert.num_heads);
  check.same("num_kv_heads", config.language.num_kv_heads, config.expert.num_kv_heads);
  check.same("head_dim", config.language.head_dim, config.expert.head_dim);
  check.require(config.expert.width % 2 == 0,
                "expert.width is " + std::to_string(config.expert.width) +
                    ", expected an even number (the time embedding is half sines, half cosines)");
  check.positive("vocab_size", config.vocab_size);
  check.positive("the image resolution", config.image_size);
  check.require(config.image_size >= vision.patch_size,
                "the image resolution (" + std::to_string(config.image_size) +
                    ") is below vision.patch_size (" + std::to_string(vision.patch_size) + ")");
  check.positive("the number of cameras", config.num_cameras);
  check.positive("the number of prompt tokens", config.max_tokens);
  check.positive("the state's width", config.state_dim);
  check.positive("the action's width", config.action_dim);
  check.positive("the action horizon", config.action_horizon);
  check.positive("the number of denoising steps", config.num_steps);
  check.require(config.min_period > 0 && config.max_period >= config.min_period,
                "min_period is " + std::to_string(config.min_period) + " and max_period " +
                    std::to_string(config.max_period) + ", expected 0 < min_period <= max_period");
}

}  // namespace pi0
