// A sample of a robot's own data from bytes, as pi0 doctor reads it. Only pi0::Error may escape,
// and every observation has its actions.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "doctor/sample.h"
#include "pi0/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const pi0::DataSample sample = pi0::parse_data_sample(pi0::SafeTensors::parse(bytes, "sample"));
    for (const pi0::Moment& moment : sample.moments) {
      if (moment.actions.empty() || moment.actions.size() % sample.dims != 0) std::abort();
      if (moment.observation.images.empty()) std::abort();
    }
  } catch (const pi0::Error&) {
  }
  return 0;
}
