// What the machine can do at most: the multiplication's instruction on registers alone.
#pragma once

#include "device/cpu/cpu.h"

namespace pi0 {

struct CpuPeak {
  std::string instruction;           // "vdpbf16ps"
  double operations_per_second = 0;  // a multiply-add is two; all threads at once
};

// Of the kernel that multiplies the layers. Takes about a tenth of a second; the best of several
// readings, since the machine may have other work.
CpuPeak measure_peak(const CpuOptions& options);

}  // namespace pi0
