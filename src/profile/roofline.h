// What a card could do at best with a call's operations: a model, never a measurement.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "device/backend.h"

namespace pi0 {

struct RooflineOperation {
  std::size_t record = 0;  // which of the recorded operations
  double ms = 0;
  std::string bound;  // as CostModel says it
};

struct RooflineStage {
  std::string name;  // as Component::stage has it
  std::size_t operations = 0;
  double ms = 0;
};

struct Roofline {
  std::string card;
  double total_ms = 0;
  std::vector<RooflineStage> stages;
  std::vector<RooflineOperation> operations;  // that the card would run, in order
};

// Transfers and frees do not count.
Roofline roofline(const CostModel& card, std::span<const OperationRecord> operations);

// False for what moves no data and launches nothing itself: frees, views, a trace's execution (its
// operations were recorded when it was captured).
bool does_work(const OperationRecord& operation);

}  // namespace pi0
