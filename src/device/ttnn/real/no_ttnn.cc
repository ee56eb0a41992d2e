// In place of real_shim.cc where TTNN is not built.
#include "device/ttnn/real/real_shim.h"
#include "pi0/error.h"

namespace pi0 {

bool ttnn_is_built() { return false; }

int count_cards() { return 0; }

bool cards_are_simulated() { return false; }

std::unique_ptr<shim::Api> make_real_shim(int card) {
  throw Error(ErrorCode::kUnsupported,
              "ttnn: card " + std::to_string(card) +
                  ": this build has no TTNN; configure it with cmake -DPI0_TTNN=ON "
                  "(docs/tenstorrent.md), or take --device ttnn-emulated, which runs anywhere");
}

}  // namespace pi0
