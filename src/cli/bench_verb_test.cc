#include <gtest/gtest.h>

#include "cli/command_testing.h"
#include "files/json.h"

namespace pi0 {
namespace {

using BenchVerbTest = CommandTest;

TEST_F(BenchVerbTest, Measures) {
  const Result result = pi0("bench " + kGolden +
                            "/pi0_tiny --device reference --against reference --warmup 1 --runs 3 "
                            "--cameras 2 --json " +
                            path("b.json") + " --plot " + path("b.svg"));
  ASSERT_EQ(result.status, 0) << result.err;
  const Json json = read_json(path("b.json"));
  EXPECT_EQ(json["runs"], 3);
  EXPECT_GT(json["mean_ms"].get<double>(), 0);
  EXPECT_LE(json["p50_ms"].get<double>(), json["p95_ms"].get<double>());
  EXPECT_GT(json["peak_rss_bytes"].get<double>(), 1e6);
  double stages_ms = 0, stages_flops = 0;
  for (const Json& stage : json["stages"]) {
    stages_ms += stage["ms"].get<double>();
    stages_flops += stage["flops"].get<double>();
  }
  EXPECT_NEAR(stages_ms, json["mean_ms"].get<double>(), 1e-6);
  EXPECT_EQ(stages_flops, json["flops"].get<double>());
  EXPECT_GT(json["times_faster"].get<double>(), 0);
  EXPECT_NE(result.out.find("P95"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("wrote " + path("b.svg")), std::string::npos) << result.out;
  const std::string svg = read(path("b.svg"));
  EXPECT_NE(svg.find(">denoising</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("class=\"bar1\""), std::string::npos) << svg;
  expect_error(pi0("bench " + kPolicy + " --device reference --against gpu"), {"gpu", "reference"});
  // Before anything is read or measured.
  expect_error(pi0("bench nowhere --plot " + path("b.png")), {"b.png", ".svg"});
  EXPECT_EQ(pi0("bench nowhere --runs 3 --seconds 1").status, 2);
  EXPECT_EQ(pi0("bench nowhere --seconds -1").status, 2);
  expect_error(pi0("bench nowhere --plot " + path("no/b.svg")), {"no/b.svg", "no folder"});
}

}  // namespace
}  // namespace pi0
