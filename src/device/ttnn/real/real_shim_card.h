// The cards that TTNN sees: counting, opening, closing them, and saying why one cannot be opened.
#pragma once

#include <memory>
#include <string>
#include <ttnn/device.hpp>
#include <ttnn/operations/trace.hpp>
#include <vector>

#include "device/ttnn/shim/card.h"

namespace pi0 {

// An open card. Tensors and traces share it; whoever closes it leaves them without memory.
class OpenCard {
 public:
  // Throws Error (kUnsupported), a sentence with the way out.
  explicit OpenCard(int index);
  OpenCard(const OpenCard&) = delete;
  OpenCard& operator=(const OpenCard&) = delete;
  ~OpenCard() { close(); }

  ttnn::MeshDevice* device() const { return device_.get(); }
  const Card& card() const { return card_; }
  int index() const { return index_; }
  // Two command queues and traces; with slow dispatch, which the mock device needs, one and none.
  bool fast_dispatch() const { return fast_dispatch_; }

  bool is_mock() const { return mock_; }

  void add_trace(ttnn::MeshTraceId id) { traces_.push_back(id); }
  void release_trace(ttnn::MeshTraceId id);
  // Traces first: their memory is the device's. Does not throw.
  void close();

 private:
  int index_;
  bool mock_;
  bool fast_dispatch_;
  std::shared_ptr<ttnn::MeshDevice> device_;
  std::vector<ttnn::MeshTraceId> traces_;
  Card card_;
};

// What a TT_FATAL says, without file, condition and stack.
std::string sentence_of(const std::string& what);

}  // namespace pi0
