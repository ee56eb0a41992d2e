// An emulated card as a machine: its memory, its two command queues, the programs it has compiled,
// and its traces; what is computed is given to it as functions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "device/ttnn/emulated/memory.h"
#include "device/ttnn/emulated/storage.h"
#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

inline constexpr int kQueues = 2;
using Clock = std::array<std::int64_t, kQueues>;  // how many commands of each queue are done

// What lies, or lay, in a piece of the card's memory.
struct Contents {
  std::int64_t number = 0;  // in the order of allocation
  shim::TensorSpec spec;    // as allocated: views look at it otherwise
  Address address;
  bool live = true;
  int write_queue = 0;  // which command wrote it last, and which of each queue read it last
  std::int64_t write_time = 0;
  Clock read_times{};

  std::unique_ptr<Values> stored;  // made when first used; not a number until written
  Values& values();
};

// A tensor of an operation that may run later, in a trace: without the handle that keeps it alive.
struct Operand {
  shim::TensorSpec spec;
  std::shared_ptr<Contents> contents;

  std::int64_t rows() const { return spec.padded[0] * spec.padded[1] * spec.padded[2]; }
  std::int64_t width() const { return spec.padded[3]; }
};

struct Program {
  std::string operation;  // "ttnn.linear"
  std::string key;        // with the operands' specs: what it is compiled for
  std::vector<Operand> reads;
  std::vector<Operand> writes;
  std::int64_t circular_buffer_bytes = 0;
  std::function<void()> compute;
};

struct EmulatedTrace : shim::Trace {
  struct Step {
    Program program;
    std::vector<std::shared_ptr<Contents>> freed;  // after it
  };
  std::vector<Step> steps;
  std::int64_t first_number = 0;  // of what was allocated in the capture
  std::int64_t last_number = 0;
  std::vector<Address> addresses;  // where that lay: written at every replay
};

struct EmulatedEvent : shim::Event {
  explicit EmulatedEvent(const Clock& c) : clock(c) {}
  Clock clock;
};

class Machine : public std::enable_shared_from_this<Machine> {
 public:
  Machine(const Card& card, bool arithmetic)
      : card_(card), arithmetic_(arithmetic), memory_(card) {}

  const Card& card() const { return card_; }
  bool arithmetic() const { return arithmetic_; }
  shim::MemoryUse memory() const { return memory_.use(); }

  shim::Tensor allocate(const shim::TensorSpec& spec, const std::string& operation);
  void release(const std::shared_ptr<Contents>& contents);
  // Throws Error where the tensor is null.
  Operand operand(const shim::Tensor& tensor, const std::string& operation) const;

  // On queue 0; in a capture it is recorded and not run. Throws Error where circular buffers do
  // not fit, where the program must be compiled during a capture, and where it reads or writes
  // what the other queue may be using.
  void run(Program program);

  // A transfer, on a queue.
  void write_from_host(const Operand& operand, int queue, const std::function<void(Values&)>& fill,
                       const std::string& operation);
  void read_to_host(const Operand& operand, const std::string& operation);
  void synchronize(const std::string& operation);

  void begin_trace_capture();
  std::unique_ptr<EmulatedTrace> end_trace_capture();
  void execute_trace(const EmulatedTrace& trace);
  std::unique_ptr<EmulatedEvent> record_event(int queue);
  void wait_for_event(int queue, const EmulatedEvent& event);

 private:
  void refuse_in_capture(const std::string& operation) const;
  void enqueue(int queue);
  void note_read(Contents& contents, int queue, const std::string& operation);
  void note_write(Contents& contents, int queue, const std::string& operation);
  void check_access(const Program& program);
  void overwrite_what_a_replay_hits(const EmulatedTrace& trace);

  const Card card_;
  const bool arithmetic_;
  Memory memory_;
  std::set<Contents*> live_;
  std::int64_t numbers_ = 0;
  std::set<std::string> compiled_;
  std::unique_ptr<EmulatedTrace> capture_;
  Clock issued_{};                      // commands of each queue
  std::array<Clock, kQueues> known_{};  // what each queue has waited for
  Clock host_known_{};                  // what the host has waited for
};

// The memory behind a handle.
class EmulatedBuffer : public shim::Tensor::Buffer {
 public:
  EmulatedBuffer(std::shared_ptr<Machine> machine, std::shared_ptr<Contents> contents)
      : machine_(std::move(machine)), contents_(std::move(contents)) {}
  ~EmulatedBuffer() override { machine_->release(contents_); }
  EmulatedBuffer(const EmulatedBuffer&) = delete;
  EmulatedBuffer& operator=(const EmulatedBuffer&) = delete;

  const std::shared_ptr<Contents>& contents() const { return contents_; }

 private:
  std::shared_ptr<Machine> machine_;
  std::shared_ptr<Contents> contents_;
};

// "[1, 1, 32, 64] bfloat16 tile in dram": for errors, and for what a program is compiled for.
std::string describe(const shim::TensorSpec& spec);
std::string describe(const shim::Shape4& shape);

}  // namespace pi0::emulated
