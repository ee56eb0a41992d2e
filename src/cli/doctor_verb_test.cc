#include <gtest/gtest.h>

#include <filesystem>

#include "cli/command_testing.h"
#include "files/json.h"

namespace pi0 {
namespace {

using DoctorVerbTest = CommandTest;

TEST_F(DoctorVerbTest, SaysWhatIsWrong) {
  const std::string line = "doctor " + kPolicy + " --device cpu --dtype fp32 --recording " +
                           kPolicy + "/recorded.safetensors --json " + path("doctor.json");
  const Result sound = pi0(line);
  EXPECT_EQ(sound.status, 0) << sound.out << sound.err;
  EXPECT_NE(sound.out.find("\ndoctor: ok\n"), std::string::npos) << sound.out;
  const Json report = read_json(path("doctor.json"));
  for (const Json& finding : report["findings"]) {
    EXPECT_EQ(finding["severity"], "ok") << finding;
  }
  std::filesystem::copy(kPolicy, path("policy"), std::filesystem::copy_options::recursive);
  std::filesystem::remove(path("policy/policy_postprocessor.json"));
  const Result damaged = pi0("doctor " + path("policy") + " --device reference");
  EXPECT_EQ(damaged.status, 1) << damaged.out << damaged.err;
  for (const char* words : {"refuse   policy_postprocessor.json is absent: no statistics",
                            "\n         why: ", "\ndoctor: refuses, for 1 reason"}) {
    EXPECT_NE(damaged.out.find(words), std::string::npos) << words << " not in\n" << damaged.out;
  }
  expect_error(pi0("doctor nowhere"), {"nowhere", "is not a directory"});
  expect_error(pi0("doctor " + kPolicy + " --dataset-sample " + path("no.safetensors")),
               {"no.safetensors"});
  expect_error(pi0("doctor " + kPolicy + " --recording " + kGolden + "/pi0_tiny/full.safetensors"),
               {"full.safetensors", "expert_actions"});
  expect_error(pi0(line + "/no/folder.json"), {"no/folder"});
}

}  // namespace
}  // namespace pi0
