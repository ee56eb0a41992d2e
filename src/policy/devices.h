// Choosing a device by name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "device/device.h"
#include "device/operations.h"
#include "device/ttnn/policies.h"
#include "device/ttnn/shim.h"
#include "pi0/device.h"

namespace pi0 {

struct DeviceRequest {
  // "auto", "reference", "ttnn" (the first card), "ttnn:1" (card 1), "ttnn-emulated" (an n150),
  // "ttnn-emulated:p150". A card's policies are changed by what follows a comma, as
  // override_policy() takes it: "ttnn:1,projections=bfloat16,hidden=dram".
  std::string name = "auto";
  // False: nothing is computed where the device can be asked so (emulated, reference), and weights
  // may be shapes alone; to look at what a call does.
  bool arithmetic = true;
  OperationLog* log = nullptr;  // told of each operation; must outlive the device
};

struct ChosenDevice {
  std::unique_ptr<Device> device;
  std::string description;           // its name, and why it: "reference (named)"
  std::optional<Card> card;          // whose memory it has; without one it has the host's
  std::optional<Policies> policies;  // of a card
};

// What a choice depends on: this build, and this machine.
struct Machine {
  bool has_ttnn = false;  // in this build
  std::function<int()> count_cards;
  std::function<std::unique_ptr<shim::Api>(int card)> open_card;
};

// Throws Error (kUnsupported), one sentence with the way out, when there is no such device in this
// build, no such card in this machine, or the card cannot be opened.
ChosenDevice choose_device(const DeviceRequest& request, const Machine& machine);
// On this machine.
ChosenDevice choose_device(const DeviceRequest& request);

}  // namespace pi0
