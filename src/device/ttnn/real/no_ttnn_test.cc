#include <gtest/gtest.h>

#include "device/ttnn/real/real_shim.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

TEST(NoTtnn, SaysHowToGetIt) {
  EXPECT_FALSE(ttnn_is_built());
  EXPECT_EQ(count_cards(), 0);
  EXPECT_FALSE(cards_are_simulated());
  try {
    make_real_shim(1);
    FAIL() << "a card was opened without TTNN";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("PI0_TTNN"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("card 1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pi0
