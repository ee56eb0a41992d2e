// Each operation of the emulated card beside the exact result.
#include <gtest/gtest.h>

#include <map>

#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/shim/accuracy_testing.h"

namespace pi0 {
namespace {

// A bfloat16 result alone is off by 0.0017 (rms, of values of any size); HiFi2 cuts one bit more of
// an activation, LoFi too once its weights have 5 bits; tf32 keeps 10. The exponentials of
// attention are a line between powers of two, and the rotation's sums have a destination of 16
// bits.
const std::map<std::string, double> kMost = {{"linear, bfloat8_b, LoFi", 0.0035},
                                             {"linear, bfloat16, LoFi", 0.0035},
                                             {"linear, bfloat8_b, HiFi2", 0.0035},
                                             {"linear, bfloat16, HiFi2", 0.0035},
                                             {"linear, bfloat8_b, HiFi3", 0.0004},
                                             {"linear, bfloat16, HiFi3", 0.0004},
                                             {"linear, bfloat8_b, HiFi2, gelu", 0.004},
                                             {"linear, bfloat4_b, LoFi", 0.0035},
                                             {"linear, bfloat4_b, HiFi2", 0.0035},
                                             {"layer_norm", 0.002},
                                             {"rms_norm", 0.002},
                                             {"add", 0.002},
                                             {"add, float32", 0.0004},
                                             {"multiply", 0.002},
                                             {"multiply, silu", 0.003},
                                             {"rotary_embedding", 0.0035},
                                             {"attention", 0.02},
                                             {"attention with a mask", 0.02}};

TEST(AccuracyTest, EachOperationIsNearTheExactResult) {
  for (const std::string& card : card_names()) {
    const auto api = make_emulated_shim(*find_card(card));
    const std::vector<shim::OperationError> errors = shim::AccuracyTable(*api).measure();
    EXPECT_EQ(errors.size(), kMost.size());
    for (const shim::OperationError& error : errors) {
      EXPECT_LE(error.rms, kMost.at(error.operation)) << card << ": " << error.operation;
      EXPECT_LE(error.largest, 0.03 * error.magnitude) << card << ": " << error.operation;
      EXPECT_GT(error.rms, 0) << card << ": " << error.operation << ": nothing was computed";
    }
  }
}

}  // namespace
}  // namespace pi0
