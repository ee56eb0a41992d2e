// What a card could do at best with an operation: its published peaks.
#pragma once

#include <memory>

#include "device/backend.h"
#include "device/ttnn/shim/card.h"

namespace pi0 {

// The longest of its FLOPs at the peak of its fidelity (HiFi4 unless it says), its bytes in DRAM,
// and its bytes in L1, each at the card's peak; and the time to launch it. Bytes are read and
// written once; those of an operation that ran on the host count as DRAM.
std::unique_ptr<CostModel> make_card_cost(const Card& card);

}  // namespace pi0
