#include "device/cpu/peak.h"

#include <algorithm>
#include <chrono>

#include "device/cpu/isa/kernel_table.h"
#include "host/thread_pool.h"

namespace pi0 {
namespace {

using Clock = std::chrono::steady_clock;

// Of `times` repetitions on each thread.
double seconds(cpu::ThreadPool& pool, const cpu::MultiplyKernel& kernel, std::int64_t times) {
  const Clock::time_point start = Clock::now();
  pool.run(pool.size(), [&](std::int64_t, int) { kernel.peak(times); });
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::string peak_instruction(const CpuOptions& options) {
  return cpu::kernel_table(options.type, options.isa).layers->name;
}

double measure_peak(const CpuOptions& options) {
  constexpr double kReading = 0.02;  // seconds
  constexpr int kReadings = 5;
  const cpu::MultiplyKernel& kernel = *cpu::kernel_table(options.type, options.isa).layers;
  const std::shared_ptr<cpu::ThreadPool> pool = pool_of(options);
  std::int64_t times = 1000;
  while (seconds(*pool, kernel, times) < kReading / 2) times *= 2;
  double best = seconds(*pool, kernel, times);
  for (int i = 1; i < kReadings; ++i) best = std::min(best, seconds(*pool, kernel, times));
  return static_cast<double>(times) * pool->size() * kernel.peak_operations / best;
}

}  // namespace pi0
