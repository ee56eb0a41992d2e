// AMX in software, for tests on machines without it: the instructions of amx.cc, as they were
// compiled, trap there, and what they trap to does their work.
#pragma once

#include "device/cpu/isa/kernel_table.h"

namespace pi0::cpu {

// From now on in this process, on every thread, what traps as an unknown instruction is carried out
// after the operations that Intel's Software Developer's Manual gives for it, if it is one that
// amx.cc uses. What the manual answers with an exception, and whatever else traps, ends the program
// with a sentence. Says so on standard output each time that it is called. False where the
// processor has other instructions altogether.
bool emulate_amx();

// The AMX kernels of `type` with rows that every machine runs.
KernelTable amx_in_software(CpuType type);

}  // namespace pi0::cpu
