// Choosing a device by name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "device/cpu/cpu.h"
#include "device/device.h"
#include "device/operations.h"
#include "device/ttnn/policies.h"
#include "device/ttnn/shim.h"
#include "pi0/device.h"
#include "pi0/network.h"

namespace pi0 {

struct DeviceRequest {
  // "auto", "reference", "cpu", "cpu:int8" (its type; else as `dtype` says), "ttnn" (the first
  // card), "ttnn:1" (card 1), "ttnn-emulated" (an n150), "ttnn-emulated:p150". A card's policies
  // are changed by what follows a comma, as override_policy() takes it:
  // "ttnn:1,projections=bfloat16,hidden=dram".
  std::string name = "auto";
  // Of the CPU device: "bf16", "int8", "fp32" (empty: bf16); threads, 0 for one a core; where they
  // run; the host program's in place of its own; where the weights of a device of these options go,
  // null for memory of its own.
  std::string dtype = {};
  int threads = 0;
  cpu::Scheduling scheduling = {};
  std::shared_ptr<cpu::ThreadPool> host = nullptr;
  std::function<std::shared_ptr<PreparedMemory>(const CpuOptions&)> memory = nullptr;
  // False: nothing is computed where the device can be asked so (emulated, reference), and weights
  // may be shapes alone; to look at what a call does.
  bool arithmetic = true;
  OperationLog* log = nullptr;  // told of each operation; must outlive the device
};

DeviceRequest device_request(const NetworkOptions& options);

struct ChosenDevice {
  std::unique_ptr<Device> device;
  std::string description;           // its name, and why it: "reference (named)"
  std::optional<Card> card;          // whose memory it has; without one it has the host's
  std::optional<Policies> policies;  // of a card
  std::optional<CpuOptions> cpu;     // of the CPU device
  // How well what it adds to the noise has to correlate with fp32, where it computes in less; 0: it
  // is fp32 itself.
  double least_correlation = 0;
};

// What a choice depends on: this build, and this machine.
struct Machine {
  bool has_ttnn = false;  // in this build
  std::function<int()> count_cards;
  std::function<std::unique_ptr<shim::Api>(int card)> open_card;
};

// Throws Error (kUnsupported), one sentence with the way out, when there is no such device in this
// build, no such card in this machine, the card cannot be opened, or the CPU has fewer cores than
// threads are asked for.
ChosenDevice choose_device(const DeviceRequest& request, const Machine& machine);
// On this machine.
ChosenDevice choose_device(const DeviceRequest& request);

}  // namespace pi0
