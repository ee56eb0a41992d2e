#include <gtest/gtest.h>

#include <filesystem>

#include "cli/command_testing.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

using VerifyVerbTest = CommandTest;

TEST_F(VerifyVerbTest, SaysWhetherItIsTheSame) {
  const std::string checkpoint = kGolden + "/pi0_tiny";
  const std::string recording = checkpoint + "/masked_middle.safetensors";
  const Result same = pi0("verify " + checkpoint + " " + recording + " --device reference --dump " +
                          path("dump.safetensors"));
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_NE(same.out.find("the same as PyTorch in all 34 stages"), std::string::npos) << same.out;
  const SafeTensors dump = SafeTensors::open(path("dump.safetensors"));
  const SafeTensors recorded = SafeTensors::open(recording);
  for (const char* name : {"vision_output", "prefix_keys", "v_t", "actions"}) {
    ASSERT_NE(dump.find(name), nullptr) << name;
    EXPECT_EQ(dump.find(name)->shape, recorded.find(name)->shape) << name;
  }
  const Result strict =
      pi0("verify " + checkpoint + " " + recording + " --device reference --tolerance 1e-9");
  EXPECT_EQ(strict.status, 1);
  EXPECT_NE(strict.out.find("DIFFERS"), std::string::npos);
}

TEST_F(VerifyVerbTest, TakesWholeWayRecordings) {
  const Result result =
      pi0("verify " + kPolicy + " " + kPolicy + "/recorded.safetensors --device reference");
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("in all 9 stages"), std::string::npos) << result.out;
  const Result odd = pi0("verify " + kGolden + "/pi0_odd " + kGolden +
                         "/pi0_odd/policy.safetensors --device reference --tokenizer " + kGolden +
                         "/preprocess/tokenizer.json");
  EXPECT_EQ(odd.status, 0) << odd.out << odd.err;
  EXPECT_NE(odd.out.find("without_first.0.normalised_state"), std::string::npos) << odd.out;
}

// The recording does not say which of several statistics it was made with; the caller does.
TEST_F(VerifyVerbTest, GoesByTheAssetThatIsNamed) {
  const std::string checkpoint = path("policy");
  std::filesystem::copy(kGolden + "/openpi_pi0", checkpoint,
                        std::filesystem::copy_options::recursive);
  std::filesystem::copy(checkpoint + "/assets/my_robot", checkpoint + "/assets/other",
                        std::filesystem::copy_options::recursive);
  const std::string recording = checkpoint + "/policy.safetensors";
  const std::string tokenizer = " --tokenizer " + kGolden + "/preprocess/tokenizer.model";
  const std::string verify =
      "verify " + checkpoint + " " + recording + " --device reference" + tokenizer;
  expect_error(pi0(verify), {"several assets", "my_robot", "other"});
  const Result same = pi0(verify + " --asset my_robot");
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  const Result compared = pi0("compare " + checkpoint + " --recording " + recording +
                              " --device cpu --asset my_robot" + tokenizer);
  EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
  // The network alone has no statistics to choose.
  const Result bench = pi0("bench " + checkpoint + " --device reference --runs 1 --warmup 0");
  EXPECT_EQ(bench.status, 0) << bench.err;
}

TEST_F(VerifyVerbTest, NamesARecordingThatIsNone) {
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/model.safetensors --device reference"),
               {"model.safetensors", "no recording"});
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/config.json --device reference"),
               {"config.json"});
}

}  // namespace
}  // namespace pi0
