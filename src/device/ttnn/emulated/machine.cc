#include "device/ttnn/emulated/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "pi0/error.h"

namespace pi0::emulated {
namespace {

void join(Clock& clock, const Clock& other) {
  for (int q = 0; q < kQueues; ++q) clock[q] = std::max(clock[q], other[q]);
}

[[noreturn]] void refuse(const std::string& operation, const std::string& sentence) {
  throw Error(ErrorCode::kUnsupported, operation + ": " + sentence);
}

std::string name_of(const Contents& contents) {
  return fmt::format("tensor {}, {}", contents.number, describe(contents.spec));
}

}  // namespace

std::string describe(const shim::Shape4& shape) {
  return shape_text(Shape(shape.begin(), shape.end()));
}

std::string describe(const shim::TensorSpec& spec) {
  const std::string padded = spec.padded == spec.shape ? "" : " in " + describe(spec.padded);
  return fmt::format("{}{} {} {} in {}", describe(spec.shape), padded, shim::name_of(spec.dtype),
                     shim::name_of(spec.layout), shim::name_of(spec.placement));
}

Values& Contents::values() {
  if (stored == nullptr) {
    const shim::Shape4& padded = spec.padded;
    stored = std::make_unique<Values>(spec.dtype, padded[0] * padded[1] * padded[2], padded[3]);
    stored->poison();
  }
  return *stored;
}

shim::Tensor Machine::allocate(const shim::TensorSpec& spec, const std::string& operation) {
  auto contents = std::make_shared<Contents>();
  contents->address = memory_.allocate(spec, operation);
  contents->spec = spec;
  contents->number = ++numbers_;
  live_.insert(contents.get());
  if (capture_ != nullptr) capture_->addresses.push_back(contents->address);
  return {spec, std::make_shared<EmulatedBuffer>(shared_from_this(), std::move(contents))};
}

void Machine::release(const std::shared_ptr<Contents>& contents) {
  contents->live = false;
  live_.erase(contents.get());
  memory_.free(contents->address);
  contents->stored.reset();
  if (capture_ != nullptr && !capture_->steps.empty()) {
    capture_->steps.back().freed.push_back(contents);
  }
}

Operand Machine::operand(const shim::Tensor& tensor, const std::string& operation) const {
  if (!tensor) refuse(operation, "an operand is no tensor");
  const auto& contents = static_cast<const EmulatedBuffer&>(*tensor.buffer()).contents();
  return {tensor.spec(), contents};
}

void Machine::enqueue(int queue) {
  join(known_[queue], host_known_);
  known_[queue][queue] = ++issued_[queue];
}

void Machine::note_read(Contents& contents, int queue, const std::string& operation) {
  if (known_[queue][contents.write_queue] < contents.write_time) {
    refuse(operation,
           fmt::format("queue {} reads {}, without having waited for queue {}, which writes it",
                       queue, name_of(contents), contents.write_queue));
  }
  contents.read_times[queue] = issued_[queue];
}

void Machine::note_write(Contents& contents, int queue, const std::string& operation) {
  for (int other = 0; other < kQueues; ++other) {
    const bool written =
        contents.write_queue == other && known_[queue][other] < contents.write_time;
    if (written || known_[queue][other] < contents.read_times[other]) {
      refuse(operation,
             fmt::format("queue {} writes {}, without having waited for queue {}, which {} it",
                         queue, name_of(contents), other, written ? "writes" : "reads"));
    }
  }
  contents.write_queue = queue;
  contents.write_time = issued_[queue];
}

void Machine::check_access(const Program& program) {
  for (const Operand& read : program.reads) note_read(*read.contents, 0, program.operation);
  for (const Operand& write : program.writes) note_write(*write.contents, 0, program.operation);
}

void Machine::run(Program program) {
  memory_.use_circular_buffers(program.circular_buffer_bytes, program.operation);
  std::string key = program.operation + " " + program.key;
  for (const Operand& read : program.reads) key += "; " + describe(read.spec);
  for (const Operand& write : program.writes) key += " -> " + describe(write.spec);
  if (capture_ != nullptr) {
    // TTNN would compile it now, and loading its kernels is a write.
    if (!compiled_.contains(key)) {
      refuse(program.operation,
             "a trace is being captured, and this operation has not run before with these "
             "operands, so that its program is not on the card: run it once before the capture (" +
                 key + ")");
    }
    capture_->steps.push_back({std::move(program), {}});
    return;
  }
  compiled_.insert(std::move(key));
  enqueue(0);
  check_access(program);
  if (arithmetic_ && program.compute) program.compute();
}

void Machine::refuse_in_capture(const std::string& operation) const {
  if (capture_ != nullptr) refuse(operation, "is not possible while a trace is being captured");
}

void Machine::write_from_host(const Operand& operand, int queue,
                              const std::function<void(Values&)>& fill,
                              const std::string& operation) {
  refuse_in_capture(operation);
  if (queue < 0 || queue >= kQueues) {
    refuse(operation, fmt::format("there is no command queue {}", queue));
  }
  enqueue(queue);
  note_write(*operand.contents, queue, operation);
  if (arithmetic_ && fill) fill(operand.contents->values());
}

void Machine::read_to_host(const Operand& operand, const std::string& operation) {
  refuse_in_capture(operation);
  enqueue(0);
  note_read(*operand.contents, 0, operation);
  join(host_known_, known_[0]);
}

void Machine::synchronize(const std::string& operation) {
  refuse_in_capture(operation);
  host_known_ = issued_;
}

void Machine::begin_trace_capture() {
  refuse_in_capture("ttnn.begin_trace_capture");
  capture_ = std::make_unique<EmulatedTrace>();
  capture_->first_number = numbers_ + 1;
}

std::unique_ptr<EmulatedTrace> Machine::end_trace_capture() {
  if (capture_ == nullptr) refuse("ttnn.end_trace_capture", "no trace is being captured");
  capture_->last_number = numbers_;
  // Neighbours and repetitions joined: a replay compares every tensor with each.
  std::vector<Address>& addresses = capture_->addresses;
  std::sort(addresses.begin(), addresses.end(), [](const Address& a, const Address& b) {
    return a.placement != b.placement ? a.placement < b.placement : a.begin < b.begin;
  });
  std::vector<Address> joined;
  for (const Address& address : addresses) {
    if (!joined.empty() && joined.back().placement == address.placement &&
        address.begin <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, address.end);
    } else {
      joined.push_back(address);
    }
  }
  addresses = std::move(joined);
  return std::move(capture_);
}

void Machine::overwrite_what_a_replay_hits(const EmulatedTrace& trace) {
  std::int64_t circular_buffers = 0;
  for (const EmulatedTrace::Step& step : trace.steps) {
    circular_buffers = std::max(circular_buffers, step.program.circular_buffer_bytes);
  }
  for (Contents* contents : live_) {
    if (contents->number <= trace.last_number) continue;  // older, or the trace's own
    const Address& at = contents->address;
    bool hit = at.placement == shim::Placement::kL1 && at.begin < circular_buffers;
    for (const Address& address : trace.addresses) hit = hit || overlap(address, at);
    if (hit) contents->values().poison();
  }
}

void Machine::execute_trace(const EmulatedTrace& trace) {
  const std::string name = "ttnn.execute_trace";
  refuse_in_capture(name);
  for (const EmulatedTrace::Step& step : trace.steps) {
    for (const auto* operands : {&step.program.reads, &step.program.writes}) {
      for (const Operand& operand : *operands) {
        const Contents& contents = *operand.contents;
        if (!contents.live && contents.number < trace.first_number) {
          refuse(name, fmt::format("{} uses {}, which has been deallocated since the capture",
                                   step.program.operation, name_of(contents)));
        }
      }
    }
  }
  enqueue(0);
  if (arithmetic_) overwrite_what_a_replay_hits(trace);
  for (const EmulatedTrace::Step& step : trace.steps) {
    check_access(step.program);
    if (!arithmetic_) continue;
    if (step.program.compute) step.program.compute();
    for (const auto& contents : step.freed) contents->stored.reset();
  }
  for (const EmulatedTrace::Step& step : trace.steps) {
    for (const Operand& write : step.program.writes) {
      if (!write.contents->live) write.contents->stored.reset();  // freed after the capture
    }
  }
}

std::unique_ptr<EmulatedEvent> Machine::record_event(int queue) {
  refuse_in_capture("ttnn.record_event");
  return std::make_unique<EmulatedEvent>(known_[queue]);
}

void Machine::wait_for_event(int queue, const EmulatedEvent& event) {
  refuse_in_capture("ttnn.wait_for_event");
  join(known_[queue], event.clock);
}

}  // namespace pi0::emulated
