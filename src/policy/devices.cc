#include "policy/devices.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

#include "device/reference/reference.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

// The value of "key: value kB" in /proc/meminfo.
std::uint64_t from_meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stoull(line.substr(key.size() + 1)) * 1024;
  }
  return kUnknown;
}

std::uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : kUnknown;  // "max" is no number: no limit
}

// What the control group of this process leaves, version 2 or 1. Inside a container its files are
// at the root of the hierarchy.
std::uint64_t from_control_group() {
  struct Files {
    const char *limit, *used;
  };
  for (const Files& files : {Files{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
                             Files{"/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                   "/sys/fs/cgroup/memory/memory.usage_in_bytes"}}) {
    const std::uint64_t limit = number_in(files.limit);
    const std::uint64_t used = number_in(files.used);
    if (limit != kUnknown && used != kUnknown) return limit > used ? limit - used : 0;
  }
  return kUnknown;
}

std::uint64_t from_process_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnknown;
  return limit.rlim_cur;
}

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

// The largest set of fp32 activations that is alive at once, and the keys and values.
std::uint64_t reference_activations(const ModelConfig& config) {
  const std::uint64_t vision_rows = std::uint64_t(config.num_cameras) * config.patches();
  const std::uint64_t prefix_rows = vision_rows + config.max_tokens;
  const auto layer = [](std::uint64_t rows, std::uint64_t width, std::uint64_t heads,
                        std::uint64_t mlp) { return rows * (4 * width + 4 * heads + 2 * mlp); };
  const GemmaConfig& language = config.language;
  const std::uint64_t heads = std::uint64_t(language.num_heads) * language.head_dim;
  const std::uint64_t largest =
      std::max(layer(vision_rows, config.vision.width, config.vision.width, config.vision.mlp_dim),
               layer(prefix_rows, language.width, heads, language.mlp_dim));
  const std::uint64_t cache =
      2 * prefix_rows * language.depth * language.num_kv_heads * language.head_dim;
  return 4 * (largest + cache);
}

}  // namespace

std::vector<DeviceInfo> available_devices() {
  return {{"reference", "plain fp32 loops on the CPU: the truth to check against, not fast"}};
}

ChosenDevice choose_device(const std::string& name) {
  if (name == "reference") return {make_reference_device(), "reference (named)"};
  std::string known;
  for (const DeviceInfo& device : available_devices()) {
    known += (known.empty() ? "" : ", ") + device.name;
  }
  if (name == "auto") {
    throw Error(ErrorCode::kUnsupported,
                "device auto: this build has no fast device yet; name --device reference "
                "(plain fp32 loops, slow on a full-size network)");
  }
  throw Error(ErrorCode::kUnsupported,
              "device " + name + ": not in this build, which has: " + known);
}

std::vector<MemoryNeed> memory_needs(const Checkpoint& checkpoint) {
  MemoryNeed reference{"reference", checkpoint.dtype, 0, reference_activations(checkpoint.model)};
  if (checkpoint.weights != nullptr) {
    for (const TensorSpec& spec : architecture(checkpoint.model)) {
      if (spec.optional || spec.name == kEmbedTokens) continue;
      const HostTensor tensor = checkpoint.weights->tensor(spec.name);
      reference.weight_bytes += static_cast<std::uint64_t>(tensor.size()) * size_of(tensor.dtype);
    }
  }
  return {reference};
}

std::uint64_t available_memory() {
  const std::uint64_t available =
      std::min({from_meminfo("MemAvailable"), from_control_group(), from_process_limit()});
  return available == kUnknown ? 0 : available;
}

void require_memory(const Checkpoint& checkpoint, const std::string& device, std::uint64_t limit) {
  const std::uint64_t available = limit != 0 ? limit : available_memory();
  if (available == 0) return;
  for (const MemoryNeed& need : memory_needs(checkpoint)) {
    if (need.device != device || need.total() <= available) continue;
    throw Error(ErrorCode::kOutOfMemory,
                checkpoint.directory.string() + ": the " + device + " device needs " +
                    gigabytes(need.total()) + " (weights " + gigabytes(need.weight_bytes) +
                    ", activations " + gigabytes(need.activation_bytes) + "), but " +
                    gigabytes(available) + (limit != 0 ? " are allowed" : " are available"));
  }
}

}  // namespace pi0
