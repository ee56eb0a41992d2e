// The CPU device: as fast as the machine's instructions allow, on as many threads as asked for.
#pragma once

#include <memory>
#include <string>

#include "device/backend.h"
#include "device/cpu/isa.h"
#include "device/device.h"
#include "device/prepared_memory.h"
#include "host/scheduling.h"

namespace pi0 {
namespace cpu {
class BufferPool;
class ThreadPool;
}  // namespace cpu

enum class CpuType {
  kBf16,  // weights in bf16, sums in fp32; activations in bf16 where the machine multiplies it
  kInt8,  // weights by output channel, activations by token, exact 32-bit sums; see kernel_table.h
  kFp32,
};
const char* name_of(CpuType type);  // "bf16", "int8", "fp32"

struct CpuOptions {
  CpuType type = CpuType::kBf16;
  cpu::Isa isa = cpu::Isa::kPortable;
  int threads = 1;                                     // those of `host`, where it is given
  cpu::Scheduling scheduling = {};                     // of the threads that the pool starts
  std::shared_ptr<cpu::ThreadPool> host = nullptr;     // threads of the host program; null: its own
  std::shared_ptr<PreparedMemory> memory = nullptr;    // of the weights; null: its own
  std::shared_ptr<cpu::BufferPool> buffers = nullptr;  // of activations, for tests; null: its own
};

// Those that compute for a device of these options.
std::shared_ptr<cpu::ThreadPool> pool_of(const CpuOptions& options);

// Results do not depend on the number of threads.
std::unique_ptr<Device> make_cpu_device(const CpuOptions& options);
std::unique_ptr<Backend> make_cpu_backend();

// How the weights that a device prepares lie in memory: a later device whose text is the same can
// use them as they are.
std::string prepared_form(CpuType type, cpu::Isa isa);

}  // namespace pi0
