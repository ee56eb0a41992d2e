#include "host/scheduling.h"

#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "pi0/error.h"

namespace pi0::cpu {
namespace {

void move_to_core(int core, pthread_t thread) {
  cpu_set_t one;
  CPU_ZERO(&one);
  const bool countable = core >= 0 && core < CPU_SETSIZE;
  if (countable) CPU_SET(core, &one);
  const int error = countable ? pthread_setaffinity_np(thread, sizeof one, &one) : EINVAL;
  if (error == 0) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("affinity: a thread cannot run on core {} ({}); /proc/self/status has "
                          "Cpus_allowed_list",
                          core, std::strerror(error)));
}

void raise_priority(int priority, pthread_t thread) {
  const int least = sched_get_priority_min(SCHED_FIFO), most = sched_get_priority_max(SCHED_FIFO);
  if (priority < least || priority > most) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("priority: {}, expected {} to {}, those of SCHED_FIFO", priority, least, most));
  }
  sched_param parameters{};
  parameters.sched_priority = priority;
  const int error = pthread_setschedparam(thread, SCHED_FIFO, &parameters);
  if (error == 0) return;
  throw Error(ErrorCode::kUnsupported,
              fmt::format("priority: SCHED_FIFO {} is not allowed here ({}); it needs "
                          "CAP_SYS_NICE, or an rtprio limit as high (ulimit -r)",
                          priority, std::strerror(error)));
}

}  // namespace

void apply(const Scheduling& scheduling, int index, pthread_t thread) {
  if (!scheduling.cores.empty()) {
    move_to_core(scheduling.cores.at(static_cast<std::size_t>(index)), thread);
  }
  if (scheduling.priority != 0) raise_priority(scheduling.priority, thread);
}

}  // namespace pi0::cpu
