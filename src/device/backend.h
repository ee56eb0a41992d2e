// A kind of device, as it describes itself: whatever the rest of the program asks of a device
// beside having it compute. Each is made in its own folder and named in registry/registry.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "device/operations.h"
#include "device/prepared_memory.h"
#include "pi0/device.h"
#include "pi0/threads.h"

namespace pi0 {

// "ttnn:1,hidden=dram" is "ttnn", "1" and "hidden=dram".
struct DeviceName {
  explicit DeviceName(std::string_view name);
  std::string text;  // all of it
  std::string kind;
  std::optional<std::string> which;
  std::vector<std::string> settings;
};

// The devices that a name lists, each with the settings that follow the last of them:
// "ttnn:0,ttnn:1" is "ttnn:0" and "ttnn:1". Throws Error (kUnsupported) for a device after a
// setting, and for devices of several kinds.
std::vector<std::string> device_names(const std::string& name);

// What is asked of a device. What a backend does not list among DeviceInfo::options is refused.
struct DeviceRequest {
  std::string name = "auto";  // as DeviceName takes it apart
  std::string dtype = {};     // empty: the backend's own choice
  int threads = 0;            // 0: as many as are good
  std::vector<int> affinity = {};
  int priority = 0;
  std::shared_ptr<HostThreads> host_threads = {};
  // Where a device keeps the weights that it has prepared in the host's memory. `form` says how
  // they lie there: a later device of the same form can use them as they are. Empty: its own.
  std::function<std::shared_ptr<PreparedMemory>(const std::string& form)> memory = {};
  // False: nothing is computed where the device can be asked so, and weights may be shapes alone;
  // to look at what a call does.
  bool arithmetic = true;
  OperationLog* log = nullptr;  // told of each operation; must outlive the device
};

// As DeviceOptions calls them.
namespace device_option {
inline constexpr const char* kDtype = "dtype";
inline constexpr const char* kThreads = "threads";
inline constexpr const char* kAffinity = "affinity";
inline constexpr const char* kPriority = "priority";
inline constexpr const char* kHostThreads = "host_threads";
inline constexpr const char* kCache = "cache";
}  // namespace device_option

// Those of them that a request has.
std::vector<std::string> options_in(const DeviceRequest& request);

// Memory that a device has for itself, apart from the host's.
struct OwnMemory {
  std::string of;  // "n150"
  std::int64_t bytes = 0;
  std::int64_t bytes_per_core = 0;  // beside them; 0 where cores have none of their own
};

// What the machine could do at most, of a device that computes on the host.
struct HostPeak {
  std::string isa;    // "avx512_bf16"
  std::string dtype;  // that the layers are multiplied in: "bf16"
  int threads = 0;
  std::string instruction;  // whose peak it is: "vdpbf16ps"
  // Operations a second, on all threads at once; a multiply-add is two. Takes a tenth of a second.
  std::function<double()> measure;
};

// What a machine could do at best, as it is published: a model, never a measurement.
class CostModel {
 public:
  struct Cost {
    double seconds = 0;
    std::string bound;  // what takes longest: "compute", "dram", "l1"; "launch"
  };
  virtual ~CostModel() = default;
  virtual std::string machine() const = 0;
  virtual Cost cost(const OperationRecord& operation) const = 0;
};

// A table of what a device was told to do how, a row each: for `pi0 audit`.
struct SettingRow {
  std::string name, what, choice, reason;
};
struct SettingTable {
  std::string title;
  std::vector<SettingRow> rows;
};

// How a device holds a network.
struct Holding {
  std::string weights = {};  // the type of most of them; empty: they stay in their file
  std::optional<OwnMemory> own_memory = {};
  bool on_host = true;       // what it allocates is the host's memory, an emulated card's too
  int copies = 0;            // in fp32, of a tensor that is being prepared
  std::string way_out = {};  // what an error says where its own memory is too small
  // Makes a device that allocates as this one would and computes nothing, for weights without
  // values; its memory() then tells. Empty where weights stay in their file.
  std::function<std::unique_ptr<Device>()> scale = {};
};

// A device, ready to prepare weights.
struct OpenDevice {
  std::unique_ptr<Device> device = {};
  std::string description = {};  // its name, and why it: "reference (named)"
  // How well what it adds to the noise has to correlate with fp32, where it computes in less; 0: it
  // is fp32 itself.
  double least_correlation = 0;
  Holding holding = {};
  std::optional<HostPeak> peak = {};
  std::vector<SettingTable> settings = {};
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceInfo info() const = 0;

  // Throws Error for what it does not understand in a name or a request; opens nothing.
  virtual void check(const DeviceRequest& request, const DeviceName& name) const = 0;
  // What check() has passed. `reason`: why it, for the description. Throws Error (kUnsupported)
  // with the way out.
  virtual OpenDevice open(const DeviceRequest& request, const DeviceName& name,
                          const std::string& reason) const = 0;
  // As the device would hold a network, whether it is here or not; opens nothing.
  virtual Holding holding(const DeviceRequest& request, const DeviceName& name) const = 0;

  // Machines that it stands for, by what may follow the colon of its name, and what they could do.
  virtual std::vector<std::string> machines() const { return {}; }
  virtual std::unique_ptr<CostModel> cost_model(const std::string& machine) const {
    (void)machine;
    return nullptr;
  }
};

// Throws Error (kUnsupported): "device NAME: sentence".
[[noreturn]] void refuse_device(const std::string& name, const std::string& sentence);

}  // namespace pi0
