// What the CPU device takes of the host program's threads.
#pragma once

#include "pi0/threads.h"

namespace pi0 {

std::shared_ptr<cpu::ThreadPool> pool_of(const HostThreads& threads);

}  // namespace pi0
