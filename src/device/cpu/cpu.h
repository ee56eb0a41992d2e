// The CPU device: as fast as the machine's instructions allow, on as many threads as asked for.
#pragma once

#include <memory>
#include <string>

#include "device/backend.h"
#include "device/cpu/isa/kernel_table.h"
#include "device/device.h"
#include "device/prepared_memory.h"
#include "host/scheduling.h"

namespace pi0 {
namespace cpu {
class BufferPool;
class ThreadPool;
}  // namespace cpu

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

namespace cpu {
// The device with these kernels; options.type and options.isa are not looked at.
std::unique_ptr<Device> make_cpu_device(const CpuOptions& options, const KernelTable& table);
}  // namespace cpu

}  // namespace pi0
