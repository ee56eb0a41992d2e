#include "device/ttnn/real/real_shim_card.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <mutex>
#include <set>
#include <string_view>
#include <tt-metalium/allocator.hpp>
#include <tt-metalium/cluster.hpp>
#include <tt-metalium/distributed.hpp>
#include <tt-metalium/host_api.hpp>
#include <umd/device/pcie/pci_device.hpp>
#include <umd/device/utils/robust_mutex.hpp>

#include "device/ttnn/real/loaded_library.h"
#include "device/ttnn/real/real_shim.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

namespace metal = tt::tt_metal;

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

// TTNN takes the simulator where both are named.
bool mock_named() {
  return is_set("TT_METAL_MOCK_CLUSTER_DESC_PATH") && !is_set("TT_METAL_SIMULATOR");
}

// Neither is the driver's, or another process's.
bool in_software() { return mock_named() || cards_are_simulated(); }

// TTNN logs to stdout, where results belong; what goes wrong comes to us as an exception.
void keep_stdout_clean() {
  if (!is_set("TT_METAL_LOGGER_LEVEL")) setenv("TT_LOGGER_LEVEL", "off", 0);
}

// Why the TTNN that is loaded must not be called; empty where it may be. No call of it comes
// before.
std::string other_ttnn() {
  const std::string why =
      other_build(PI0_TTNN_BUILD_ID, PI0_TTNN_VERSION, loaded_library("_ttnncpp.so"));
  return why.empty() ? other_build(PI0_TT_METAL_BUILD_ID, PI0_TTNN_VERSION,
                                   loaded_library("libtt_metal.so"))
                     : why;
}

// The kernel driver's, by number; the library has not been started for it.
std::vector<int> present_cards() { return tt::umd::PCIDevice::enumerate_devices(); }

// Which cards this process has open; TTNN aborts, or worse, where one is opened twice. Never
// destroyed: a program may hold its policy in a static, which closes the card after others are
// gone.
std::mutex open_mutex;
std::set<int>& open_cards() {
  static auto* const cards = new std::set<int>;
  return *cards;
}

Error cannot_open(int index, const std::string& why) {
  return Error(ErrorCode::kUnsupported, "ttnn: card " + std::to_string(index) + ": " + why);
}

// The driver starts every card that it sees, and waits without end for one that another process
// has: so ask first, for as long as it takes that process to end if it is about to.
void require_free(int index) {
  constexpr std::chrono::seconds kPatience{2};
  for (const int number : present_cards()) {
    tt::umd::RobustMutex in_use("CHIP_IN_USE_" + std::to_string(number) + "_PCIe");
    in_use.initialize();
    const auto owner = in_use.probe_lock(kPatience);
    if (!owner.has_value()) {
      in_use.unlock();
    } else if (owner->first != getpid()) {
      throw cannot_open(index, "/dev/tenstorrent/" + std::to_string(number) +
                                   " is in use by process " + std::to_string(owner->first) +
                                   "; end that process, or set TT_VISIBLE_DEVICES to other cards");
    }
  }
}

bool mentions(const std::string& text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         }) != text.end();
}

std::string way_out(const std::string& why) {
  if (mentions(why, "firmware")) {
    return "update the card's firmware (tt-flash), or take the TTNN release that fits it";
  }
  if (mentions(why, "cluster descriptor")) {
    return "TT_METAL_MOCK_CLUSTER_DESC_PATH must name a mock's description";
  }
  if (mentions(why, "root dir") || mentions(why, "does not exist") ||
      mentions(why, "no such file")) {
    return "TT_METAL_RUNTIME_ROOT must name the folder of TTNN that holds tt_metal/ and runtime/";
  }
  if (mentions(why, "hugepage") || mentions(why, "iommu")) {
    return "set up hugepages (tenstorrent/tt-system-tools)";
  }
  return "tt-smi shows the cards and resets one (tt-smi -r)";
}

const char* name_of(metal::ClusterType type, tt::ARCH arch) {
  switch (type) {
    case metal::ClusterType::N300:
    case metal::ClusterType::T3K:
    case metal::ClusterType::N300_2x2:
      return "n300";
    case metal::ClusterType::P100:
      return "p100";
    case metal::ClusterType::P300:
    case metal::ClusterType::P300_X2:
      return "p300";
    default:
      return arch == tt::ARCH::BLACKHOLE ? "p150" : "n150";
  }
}

// What the device says of itself; peaks, which it does not know, are those of its architecture's
// single card.
Card describe(ttnn::MeshDevice& device) {
  const tt::ARCH arch = device.arch();
  Card card = *find_card(arch == tt::ARCH::BLACKHOLE ? "p150" : "n150");
  card.name = name_of(metal::GetClusterType(), arch);
  const auto grid = device.compute_with_storage_grid_size();
  card.grid_x = static_cast<int>(grid.x);
  card.grid_y = static_cast<int>(grid.y);
  const auto& allocator = *device.allocator();
  card.l1_bytes = static_cast<std::int64_t>(allocator.get_bank_size(metal::BufferType::L1));
  card.dram_banks = static_cast<int>(allocator.get_num_banks(metal::BufferType::DRAM));
  card.dram_bank_bytes =
      static_cast<std::int64_t>(allocator.get_bank_size(metal::BufferType::DRAM));
  return card;
}

}  // namespace

std::string sentence_of(const std::string& what) {
  constexpr std::string_view kInfo = "info:\n";
  const std::size_t info = what.find(kInfo);
  std::string line = what.substr(info == std::string::npos ? 0 : info + kInfo.size());
  line = line.substr(0, line.find('\n'));
  while (!line.empty() && (line.back() == '.' || line.back() == ' ')) line.pop_back();
  return line.empty() ? "unknown error" : line;
}

OpenCard::OpenCard(int index)
    : index_(index),
      mock_(mock_named()),
      fast_dispatch_(!mock_ && !is_set("TT_METAL_SLOW_DISPATCH_MODE")) {
  if (const std::string why = other_ttnn(); !why.empty()) throw cannot_open(index, why);
  keep_stdout_clean();
  const std::lock_guard lock(open_mutex);
  if (open_cards().count(index) != 0) {
    throw cannot_open(index, "this process has it open already; share the policy, or close it");
  }
  try {
    if (mock_ && !is_set("TT_METAL_SLOW_DISPATCH_MODE")) {
      throw cannot_open(index, "TTNN's mock device needs TT_METAL_SLOW_DISPATCH_MODE=1");
    }
    if (!in_software()) {
      if (present_cards().empty()) {
        throw cannot_open(index,
                          "no Tenstorrent card is here (no /dev/tenstorrent; is the driver tt-kmd "
                          "loaded?); --device ttnn-emulated runs anywhere");
      }
      require_free(index);
    }
    const auto count = static_cast<int>(metal::GetNumAvailableDevices());
    if (index < 0 || index >= count) {
      throw cannot_open(
          index, "there is no such card; they are numbered 0 to " + std::to_string(count - 1));
    }
    // Traces are put at the end of DRAM as they are captured (a region of size 0), since a region
    // is taken from every bank, and how long a trace becomes is not known before.
    device_ = ttnn::open_mesh_device(index, DEFAULT_L1_SMALL_SIZE, 0, fast_dispatch_ ? 2 : 1);
    device_->enable_program_cache();
    card_ = describe(*device_);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    const std::string why = sentence_of(error.what());
    throw cannot_open(index, why + "; " + way_out(why));
  }
  open_cards().insert(index);
}

void OpenCard::release_trace(ttnn::MeshTraceId id) {
  const auto found = std::find(traces_.begin(), traces_.end(), id);
  if (device_ == nullptr || found == traces_.end()) return;
  traces_.erase(found);
  ttnn::operations::trace::release_trace(device_.get(), id);
}

void OpenCard::close() {
  if (device_ == nullptr) return;
  const std::lock_guard lock(open_mutex);
  try {
    metal::distributed::Synchronize(device_.get(), std::nullopt);
    while (!traces_.empty()) release_trace(traces_.back());
    device_->close();
  } catch (const std::exception&) {
    // A card that hangs cannot be closed; the driver resets it when the process ends.
  }
  device_.reset();
  open_cards().erase(index_);
}

bool ttnn_is_built() { return true; }

bool cards_are_simulated() { return is_set("TT_METAL_SIMULATOR"); }

int count_cards() {
  if (!other_ttnn().empty()) {  // where a card may be, to open it will say so
    return in_software() || std::filesystem::exists("/dev/tenstorrent") ? 1 : 0;
  }
  keep_stdout_clean();
  try {
    // To ask TTNN would start every card, and wait for one that is in use.
    return static_cast<int>(in_software() ? metal::GetNumAvailableDevices()
                                          : present_cards().size());
  } catch (const std::exception&) {
    return in_software() ? 1 : 0;  // to open it will say what is wrong with it
  }
}

}  // namespace pi0
