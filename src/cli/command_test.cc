#include <gtest/gtest.h>

#include <filesystem>

#include "cli/command_testing.h"
#include "files/npy.h"

namespace pi0 {
namespace {

TEST_F(CommandTest, AdaptersGoWithTheirBase) {
  const std::string adapters = path("adapters");
  std::filesystem::copy(kSource / "testdata/adapters/lerobot_default", adapters);
  const std::string base = " --base " + kGolden + "/pi0_tiny";
  const std::string tokenizer = " --tokenizer " + kGolden + "/preprocess/tokenizer.json";
  const Result info = pi0("info " + adapters + base + tokenizer + " --device reference");
  EXPECT_EQ(info.status, 0) << info.out << info.err;
  for (const char* word : {"base         ", "rank 3, alpha 7: 11 tensors changed, 0 whole",
                           "pi0, lerobot", "pi0 run: ready"}) {
    EXPECT_NE(info.out.find(word), std::string::npos) << word << "\n" << info.out;
  }
  const std::string call = adapters + base + " --cameras 1 --tokens 2 --steps 1";
  EXPECT_EQ(pi0("audit " + call + " --device reference").status, 0);
  EXPECT_EQ(pi0("bench " + call + " --device reference --runs 1 --warmup 0").status, 0);
  // Other weights than the base's: it is no longer what PyTorch recorded of that.
  const std::string recording = kGolden + "/pi0_tiny/full.safetensors --device reference";
  EXPECT_EQ(pi0("verify " + kGolden + "/pi0_tiny " + recording).status, 0);
  EXPECT_EQ(pi0("verify " + adapters + " " + recording + base).status, 1);
  for (const char* verb : {"info", "audit", "bench", "compare"}) {
    expect_error(pi0(std::string(verb) + " " + adapters), {"adapter_config.json", "--base"});
  }
}

TEST_F(CommandTest, WhatCannotBeWrittenIsNoSuccess) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "NOT RUN: no /dev/full here";
  for (const std::string& verb : {"info " + kPolicy, run("")}) {
    const std::string line =
        std::string(PI0_COMMAND) + " " + verb + " >/dev/full 2>" + path("stderr");
    const int status = std::system(line.c_str());
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 2);
    EXPECT_NE(read(path("stderr")).find("standard output cannot be written"), std::string::npos);
  }
}

TEST_F(CommandTest, HelpAndBadUsage) {
  EXPECT_EQ(pi0("--help").status, 0);
  EXPECT_NE(pi0("--help").out.find("reference"), std::string::npos);
  for (const char* verb : {"info", "doctor", "run", "verify", "compare", "audit", "bench"}) {
    EXPECT_EQ(pi0(std::string(verb) + " --help").status, 0);
  }
  expect_error(
      pi0(""),
      {"no verb, expected info, doctor, run, serve, replay, verify, compare, audit or bench"});
  expect_error(pi0("replay calls"), {"CHECKPOINT", "--dump"});
  expect_error(pi0("replay " + path("calls") + " " + kPolicy), {path("calls"), "listed"});
  expect_error(pi0("replay " + folder.string() + " " + kPolicy), {"pi0 serve --record"});
  expect_error(pi0("fly"), {"unknown verb 'fly', expected info", "pi0 --help"});
  expect_error(pi0("rnu " + kPolicy), {"unknown verb 'rnu' (did you mean 'run'?)"});
  expect_error(pi0("inof"), {"'inof' (did you mean 'info'?)"});
  expect_error(pi0("--verison"), {"unknown option '--verison' (did you mean '--version'?)"});
  expect_error(pi0("run"), {"run: CHECKPOINT is required", "pi0 run --help"});
  // What is mistyped, and not what its value was then taken for.
  expect_error(pi0("run --pormpt x " + kPolicy),
               {"run: unknown option '--pormpt' (did you mean '--prompt'?)"});
  expect_error(pi0(run("--temperature=1")), {"run: unknown option '--temperature';"});
  expect_error(pi0("bench --random pi0 --rnus 3"), {"'--rnus' (did you mean '--runs'?)"});
  expect_error(pi0("run " + kPolicy + " --prompt open the drawer"),
               {"unexpected argument 'the'", "quotes"});
  expect_error(pi0(run("--prompt again")), {"run: --prompt is given twice"});
  expect_error(pi0(run("--noise x.npy")), {"run: ", "--seed", "excludes", "--noise"});
  expect_error(pi0("info lerobot/pi0_base"), {"hf download lerobot/pi0_base --local-dir pi0_base"});
}

}  // namespace
}  // namespace pi0
