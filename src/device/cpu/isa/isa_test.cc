#include "device/cpu/isa/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "device/cpu/isa/kernel_table.h"
#include "pi0/error.h"

namespace pi0::cpu {
namespace {

// Sets PI0_CPU_ISA for a while.
class IsaTest : public testing::Test {
 protected:
  IsaTest() {
    if (const char* value = std::getenv("PI0_CPU_ISA")) before_ = value;
    unsetenv("PI0_CPU_ISA");
  }
  ~IsaTest() override {
    if (before_) {
      setenv("PI0_CPU_ISA", before_->c_str(), 1);
    } else {
      unsetenv("PI0_CPU_ISA");
    }
  }
  static void force(const char* name) { setenv("PI0_CPU_ISA", name, 1); }
  static std::string refusal() {
    try {
      choose_isa();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "";
  }

 private:
  std::optional<std::string> before_;
};

TEST_F(IsaTest, NamesGoBothWays) {
  for (const Isa isa : kEveryIsa) EXPECT_EQ(isa_named(name_of(isa)), isa);
  EXPECT_EQ(isa_named(""), std::nullopt);
  EXPECT_EQ(isa_named("AVX2"), std::nullopt);
  EXPECT_EQ(isa_named("avx5120"), std::nullopt);
}

TEST_F(IsaTest, SupportedOnesBeginWithThePlainest) {
  const std::vector<Isa> isas = supported_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas[0], Isa::kPortable);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  // Each has what those before it have.
  for (const Isa isa : kEveryIsa) EXPECT_EQ(is_supported(isa), isa <= isas.back()) << name_of(isa);
}

TEST_F(IsaTest, OneIsChosen) {
  EXPECT_TRUE(is_supported(choose_isa()));
  const Isa chosen = choose_isa();
  force("");
  EXPECT_EQ(choose_isa(), chosen);
}

TEST_F(IsaTest, OneIsForced) {
  for (const Isa isa : supported_isas()) {
    force(name_of(isa));
    EXPECT_EQ(choose_isa(), isa);
  }
}

TEST_F(IsaTest, WhatIsNoneIsRefused) {
  for (const char* name : {"nonsense", "AVX2", "avx2 ", "0"}) {
    force(name);
    const std::string text = refusal();
    EXPECT_NE(text.find(std::string("PI0_CPU_ISA is ") + name), text.npos) << text;
    EXPECT_NE(text.find("is no instruction set"), text.npos) << text;
    for (const Isa isa : supported_isas()) EXPECT_NE(text.find(name_of(isa)), text.npos) << text;
  }
}

TEST_F(IsaTest, WhatTheMachineLacksIsRefused) {
  bool lacks = false;
  for (const Isa isa : kEveryIsa) {
    if (is_supported(isa)) continue;
    lacks = true;
    force(name_of(isa));
    const std::string text = refusal();
    EXPECT_NE(text.find("this machine does not run"), text.npos) << text;
    EXPECT_NE(text.find("expected one of portable"), text.npos) << text;
  }
  if (!lacks) GTEST_SKIP() << "NOT RUN: this machine has every instruction set";
}

// Every set has a kernel for each type; int8 keeps what is sensitive in bf16.
TEST_F(IsaTest, EverySetHasItsKernels) {
  for (const Isa isa : kEveryIsa) {
    for (const CpuType type : kEveryType) {
      const KernelTable table = kernel_table(type, isa);
      ASSERT_NE(table.rows, nullptr);
      const Number exact = type == CpuType::kFp32 ? Number::kF32 : Number::kBf16;
      EXPECT_EQ(table.exact->weights, exact);
      EXPECT_EQ(table.layers->weights, type == CpuType::kInt8 ? Number::kInt8 : exact);
      // Packed for one call: nothing is widened.
      EXPECT_EQ(table.attention->weights, table.attention->activations);
      EXPECT_NE(table.attention->weights, Number::kInt8);
    }
  }
}

// A cache of prepared weights is of one form: what differs must not share it.
TEST_F(IsaTest, PreparedFormsTellLayoutsApart) {
  for (const Isa isa : kEveryIsa) {
    EXPECT_NE(prepared_form(CpuType::kBf16, isa), prepared_form(CpuType::kInt8, isa));
    EXPECT_NE(prepared_form(CpuType::kBf16, isa), prepared_form(CpuType::kFp32, isa));
    EXPECT_NE(prepared_form(CpuType::kInt8, isa), prepared_form(CpuType::kFp32, isa));
  }
  for (const CpuType type : kEveryType) {  // panels of 16 columns, and of 32
    EXPECT_NE(prepared_form(type, Isa::kPortable), prepared_form(type, Isa::kAvx512));
  }
}

}  // namespace
}  // namespace pi0::cpu
