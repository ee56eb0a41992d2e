#include "runtime/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "base/unit_text.h"
#include "host/control_group.h"
#include "model/random_weights.h"
#include "pi0/error.h"
#include "runtime/session.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

// What follows `key` in a file of keys and numbers, a pair a line.
std::uint64_t number_after(const std::string& key, const fs::path& path) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    std::uint64_t value = 0;
    if (word == key) return file >> value ? value : kUnknown;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnknown;
}

std::uint64_t from_meminfo(const fs::path& root) {
  const std::uint64_t kilobytes = number_after("MemAvailable:", root / "proc/meminfo");
  return kilobytes == kUnknown ? kUnknown : kilobytes * 1024;
}

std::uint64_t number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : kUnknown;  // "max" is no number: no limit
}

// What the control groups of this process leave, version 2 or 1. They count the pages of files too,
// a checkpoint's that was read once among them, which give way to whoever needs memory.
std::uint64_t from_control_groups(const fs::path& root) {
  struct Files {
    const char *limit, *used, *total;  // `total`: with the groups below
  };
  std::uint64_t least = kUnknown;
  for (const fs::path& group : cpu::control_groups(root, "memory")) {
    for (const Files& files : {Files{"memory.max", "memory.current", ""},
                               Files{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_"}}) {
      const std::uint64_t limit = number_in(group / files.limit);
      std::uint64_t used = number_in(group / files.used);
      if (limit == kUnknown || used == kUnknown) continue;
      for (const char* const pages : {"inactive_file", "active_file"}) {
        const std::uint64_t cached =
            number_after(std::string(files.total) + pages, group / "memory.stat");
        if (cached != kUnknown) used -= std::min(used, cached);
      }
      least = std::min(least, limit > used ? limit - used : 0);
    }
  }
  return least;
}

std::uint64_t from_process_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnknown;
  return limit.rlim_cur;
}

// Larger chunks and longer prompts than any robot's are not tried: somebody has mistyped a length.
constexpr std::uint64_t kMostTried = std::uint64_t{1} << 22;
std::uint64_t chunk_values(const ModelConfig& config) {
  return std::uint64_t(config.action_horizon) * config.action_dim;
}
std::uint64_t prompt_values(const ModelConfig& config) {
  return std::uint64_t(config.max_tokens) * config.language.width;
}

// The largest set of fp32 activations that is alive at once, and the keys and values.
std::uint64_t fp32_activations(const ModelConfig& config) {
  const std::uint64_t vision_rows = std::uint64_t(config.num_cameras) * config.patches();
  const std::uint64_t prefix_rows = vision_rows + config.max_tokens;
  const auto layer = [](std::uint64_t rows, std::uint64_t width, std::uint64_t heads,
                        std::uint64_t mlp) { return rows * (4 * width + 4 * heads + 2 * mlp); };
  const GemmaConfig& language = config.language;
  const std::uint64_t heads = std::uint64_t(language.num_heads) * language.head_dim;
  const std::uint64_t suffix_rows = std::uint64_t(config.action_horizon) + 1;
  const std::uint64_t largest =
      std::max({layer(vision_rows, config.vision.width, config.vision.width, config.vision.mlp_dim),
                layer(prefix_rows, language.width, heads, language.mlp_dim),
                layer(suffix_rows, config.expert.width, heads, config.expert.mlp_dim)});
  const std::uint64_t cache =
      2 * prefix_rows * language.depth * language.num_kv_heads * language.head_dim;
  // Noise, x_t, v_t and what becomes of them.
  const std::uint64_t chunk = 4 * chunk_values(config);
  return 4 * (largest + cache + chunk);
}

// All cameras, the longest prompt.
Pi0Input largest_input(const ModelConfig& config) {
  Pi0Input input;
  input.cameras = config.num_cameras;
  input.images.resize(std::size_t(config.num_cameras) * config.image_size * config.image_size * 3);
  input.tokens.resize(std::size_t(config.max_tokens));
  if (config.kind == ModelKind::kPi0) input.state.resize(std::size_t(config.state_dim));
  input.noise.resize(chunk_values(config));
  input.steps = config.num_steps;
  return input;
}

// Of the largest tensor, in fp32.
std::uint64_t tensor_bytes(const ModelConfig& config) {
  std::int64_t largest = 0;
  for (const TensorSpec& spec : architecture(config)) {
    if (spec.optional || spec.name == kEmbedTokens) continue;
    largest = std::max(largest, element_count(spec.shape));
  }
  return 4 * static_cast<std::uint64_t>(largest);
}

}  // namespace

MemoryNeed memory_need(const CheckpointData& checkpoint, const Holding& holding) {
  const ModelConfig& config = checkpoint.model;
  MemoryNeed need;
  need.activation_bytes = fp32_activations(config);
  need.dtype = holding.weights.empty() ? checkpoint.dtype : holding.weights;
  if (holding.scale) {
    Pi0 model(config, make_weight_shapes(config), holding.scale(), {});
    const std::int64_t weights = model.device().memory().bytes;
    need.weight_bytes = static_cast<std::uint64_t>(weights);
    if (std::max(chunk_values(config), prompt_values(config)) <= kMostTried) {
      // The second call keeps the results of the first until it has its own.
      const Pi0Input input = largest_input(config);
      Pi0Session session(model);
      for (int call = 0; call < 2; ++call) session.sample_actions(input);
      need.activation_bytes =
          static_cast<std::uint64_t>(model.device().memory().peak_bytes - weights);
    }
  } else if (checkpoint.weights != nullptr) {
    for (const TensorSpec& spec : architecture(config)) {
      if (spec.optional || spec.name == kEmbedTokens) continue;
      need.weight_bytes += static_cast<std::uint64_t>(element_count(spec.shape)) *
                           size_of(checkpoint.weights->dtype(spec.name));
    }
  }
  // Adapters add a copy, in which they are merged.
  const unsigned copies = static_cast<unsigned>(holding.copies) +
                          (holding.scale && !checkpoint.adapters.empty() ? 1 : 0);
  need.host_bytes = copies * tensor_bytes(config);
  if (holding.on_host) need.host_bytes += need.total();
  return need;
}

std::optional<std::uint64_t> available_memory(const fs::path& root) {
  const std::uint64_t available =
      std::min({from_meminfo(root), from_control_groups(root), from_process_limit()});
  return available == kUnknown ? std::nullopt : std::optional(available);
}

void require_memory(const CheckpointData& checkpoint, const OpenDevice& opened,
                    std::uint64_t limit) {
  const Holding& holding = opened.holding;
  const MemoryNeed need = memory_need(checkpoint, holding);
  const auto refuse = [&](const std::string& who, std::uint64_t bytes, const std::string& but) {
    throw Error(ErrorCode::kOutOfMemory,
                checkpoint.directory.string() + ": " + who + " needs " + bytes_text(bytes) +
                    " (weights " + bytes_text(need.weight_bytes) + " in " + need.dtype +
                    ", activations " + bytes_text(need.activation_bytes) + "), but " + but);
  };
  if (const std::optional<OwnMemory>& own = holding.own_memory) {
    const auto bytes = static_cast<std::uint64_t>(own->bytes);
    if (need.total() > bytes) {
      refuse("the network", need.total(),
             "the card (" + own->of + ") has " + bytes_text(bytes) + ": " + holding.way_out);
    }
  }
  const std::optional<std::uint64_t> available = limit != 0 ? limit : available_memory();
  if (available && need.host_bytes > *available) {
    refuse("the " + opened.device->name() + " device", need.host_bytes,
           bytes_text(*available) + (limit != 0 ? " are allowed" : " are available"));
  }
}

}  // namespace pi0
