// What the machine can do at most: the multiplication's instruction on registers alone.
#pragma once

#include "device/cpu/cpu.h"

namespace pi0 {

// Of the kernel that multiplies the layers: "vdpbf16ps".
std::string peak_instruction(const CpuOptions& options);

// Its operations a second, on all threads at once; a multiply-add is two. Takes about a tenth of a
// second; the best of several readings, since the machine may have other work.
double measure_peak(const CpuOptions& options);

}  // namespace pi0
