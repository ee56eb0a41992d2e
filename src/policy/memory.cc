#include "policy/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "device/cpu/control_group.h"
#include "device/cpu/cpu.h"
#include "device/ttnn/policies.h"
#include "files/unit_text.h"
#include "pi0/error.h"

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
  const std::uint64_t chunk = 4 * std::uint64_t(config.action_horizon) * config.action_dim;
  return 4 * (largest + cache + chunk);
}

// Of a card, as its policies hold the weights: tiles, projections in their own type.
std::uint64_t bytes_on_card(const TensorSpec& spec, const Policies& policies) {
  const bool matrix = spec.shape.size() >= 2;
  const bool layer = spec.name.find("self_attn") != std::string::npos ||
                     spec.name.find("mlp.") != std::string::npos;
  const std::int64_t rows = matrix ? spec.shape[0] : 1;
  const std::int64_t columns = element_count(spec.shape) / rows;
  const bool projection = matrix && (layer || rows * columns >= policies.large_linear);
  const shim::DataType type =
      policies.of(projection ? MathRole::kProjection : MathRole::kSmallLinear).weights;
  return static_cast<std::uint64_t>(shim::size_in_bytes(
      shim::make_spec({1, 1, rows, columns}, type, shim::Layout::kTile, shim::Placement::kDram)));
}

// Of the CPU device, as its kernels keep the weights; vectors, and what int8 is too coarse for,
// take more. A hundredth for what pads a panel.
std::uint64_t bytes_on_cpu(const TensorSpec& spec, CpuType type) {
  const auto elements = static_cast<std::uint64_t>(element_count(spec.shape));
  if (spec.shape.size() < 2) return 4 * elements;
  const bool layer = spec.name.find("self_attn.") != std::string::npos ||
                     spec.name.find("mlp.") != std::string::npos ||
                     spec.name.find("projector") != std::string::npos;
  const std::uint64_t size = type == CpuType::kFp32 ? 4 : type == CpuType::kInt8 && layer ? 1 : 2;
  return size * (elements + elements / 100);
}

// A tensor on its way: as the file has it, packed in fp32, and converted once more by TTNN.
std::uint64_t conversion_bytes(const ModelConfig& config) {
  std::int64_t largest = 0;
  for (const TensorSpec& spec : architecture(config)) {
    if (spec.optional || spec.name == kEmbedTokens) continue;
    largest = std::max(largest, element_count(spec.shape));
  }
  return 3 * 4 * static_cast<std::uint64_t>(largest);
}

}  // namespace

std::vector<MemoryNeed> memory_needs(const Checkpoint& checkpoint,
                                     const std::optional<Policies>& chosen, CpuType cpu_type) {
  const Policies policies =
      chosen ? *chosen : default_policies(*find_card("n150"));  // types are every card's
  const std::uint64_t activations = fp32_activations(checkpoint.model);
  MemoryNeed reference{"reference", checkpoint.dtype, 0, activations, 0};
  // Activations are bf16 on a card.
  MemoryNeed ttnn{"ttnn", name_of(policies.of(MathRole::kProjection).weights), 0, activations / 2,
                  conversion_bytes(checkpoint.model)};
  MemoryNeed cpu{"cpu", name_of(cpu_type), 0, activations, 0};
  for (const TensorSpec& spec : architecture(checkpoint.model)) {
    if (spec.optional || spec.name == kEmbedTokens) continue;
    cpu.weight_bytes += bytes_on_cpu(spec, cpu_type);
    ttnn.weight_bytes += bytes_on_card(spec, policies);
    if (checkpoint.weights == nullptr) continue;
    reference.weight_bytes += static_cast<std::uint64_t>(element_count(spec.shape)) *
                              size_of(checkpoint.weights->dtype(spec.name));
  }
  // An emulated card's memory is the host's.
  MemoryNeed emulated = ttnn;
  emulated.device = "ttnn-emulated";
  emulated.host_bytes += emulated.total();
  reference.host_bytes = reference.total();
  cpu.host_bytes = cpu.total() + conversion_bytes(checkpoint.model) / 3;
  return {ttnn, cpu, emulated, reference};
}

std::optional<std::uint64_t> available_memory(const fs::path& root) {
  const std::uint64_t available =
      std::min({from_meminfo(root), from_control_groups(root), from_process_limit()});
  return available == kUnknown ? std::nullopt : std::optional(available);
}

void require_memory(const Checkpoint& checkpoint, const ChosenDevice& chosen, std::uint64_t limit) {
  const std::string device = chosen.device->name();
  const std::optional<Card>& card = chosen.card;
  const std::optional<std::uint64_t> available = limit != 0 ? limit : available_memory();
  const auto refuse = [&](const MemoryNeed& need, const std::string& who, std::uint64_t bytes,
                          const std::string& but) {
    throw Error(ErrorCode::kOutOfMemory,
                checkpoint.directory.string() + ": " + who + " needs " + bytes_text(bytes) +
                    " (weights " + bytes_text(need.weight_bytes) + " in " + need.dtype +
                    ", activations " + bytes_text(need.activation_bytes) + "), but " + but);
  };
  const CpuType cpu_type = chosen.cpu ? chosen.cpu->type : CpuType::kBf16;
  for (const MemoryNeed& need : memory_needs(checkpoint, chosen.policies, cpu_type)) {
    if (need.device != device) continue;
    if (card && need.total() > static_cast<std::uint64_t>(card->dram_bytes())) {
      refuse(need, "the network", need.total(),
             "the card (" + card->name + ") has " + bytes_text(card->dram_bytes()) +
                 (need.dtype == "bfloat8_b"
                      ? ": take one with more memory, or a checkpoint of smaller sizes"
                      : ": take projections=bfloat8_b, or a card with more memory"));
    }
    if (available && need.host_bytes > *available) {
      refuse(need, "the " + device + " device", need.host_bytes,
             bytes_text(*available) + (limit != 0 ? " are allowed" : " are available"));
    }
  }
}

}  // namespace pi0
