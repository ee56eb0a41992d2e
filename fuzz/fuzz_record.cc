// A file of recorded calls from bytes, and what a file whose checksums are right may hold: the
// head, a call, its request as it is sent again, a server's answer. Only pi0::Error may escape.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "pi0/error.h"
#include "record/frames.h"
#include "replay/answer.h"
#include "replay/request.h"
#include "replay/seeded_request.h"

namespace {

template <typename Read>
void read(Read&& one) {
  try {
    one();
  } catch (const pi0::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto told = [](const std::string& sentence) {
    if (sentence.empty()) std::abort();
  };
  for (const auto payload : pi0::read_frames(bytes, told)) read([&] { pi0::decode_call(payload); });
  read([&] { pi0::recorded_robot(pi0::decode_head(bytes)); });
  read([&] {
    const pi0::RecordedCall call = pi0::decode_call(bytes);
    pi0::seeded_request(call);
    pi0::judge(pi0::with_dims(call, 1), pi0::read_answer(bytes, true).outcome, {});
  });
  pi0::RecordedCall call;
  call.message = bytes;
  call.steps = 10;
  call.seed = 3;
  call.inference_delay = 2;
  pi0::seeded_request(call);
  return 0;
}
