#include "cli/inputs.h"

#include <cmath>
#include <fstream>

#include "base/test_support.h"

namespace pi0 {
namespace {

using Values = std::vector<float>;

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

void refused(const std::string& state, const std::vector<std::string>& words) {
  expect_error(ErrorCode::kInvalidInput, words, [&] { parse_state(state); });
}

TEST(ParseState, ReadsAList) {
  EXPECT_EQ(parse_state("0.1,-2, 3e2"), (Values{0.1f, -2.0f, 300.0f}));
  EXPECT_EQ(parse_state("0.5"), Values{0.5f});
}

TEST(ParseState, RefusesWhatIsNoListOfFiniteNumbers) {
  refused("0.1,two,3", {"--state", "value 1", "\"two\"", ".json or .npy"});
  refused("0.1,,3", {"--state: value 1 is \"\""});
  refused("0.1,", {"value 1"});
  refused("", {"--state: value 0"});
  refused("0.1,nan", {"--state: value 1 is nan, expected a finite number"});
  refused("-inf", {"--state: value 0 is -inf"});
  refused("1e60", {"value 0"});
}

TEST(ParseState, ReadsJson) {
  const TemporaryDirectory folder;
  write_text(folder / "list.json", "[0.1, 2, -3e1]");
  EXPECT_EQ(parse_state(folder / "list.json"), (Values{0.1f, 2.0f, -30.0f}));
  write_text(folder / "object.JSON", R"({"task": "x", "state": [1, 2]})");
  EXPECT_EQ(parse_state(folder / "object.JSON"), (Values{1, 2}));
}

TEST(ParseState, RefusesOtherJson) {
  const TemporaryDirectory folder;
  const std::string file = folder / "state.json";
  const auto refused_text = [&](std::string_view text, const std::string& words) {
    write_text(file, text);
    refused(file, {"state.json", words});
  };
  refused_text("{\"states\": [1]}", "holds no list of numbers");
  refused_text("3", "holds no list of numbers");
  refused_text("[1, [2]]", "value 1 is [2], expected a number");
  refused_text("[1, null]", "value 1 is null, expected a number");
  refused_text("[1e39]", "value 0 is inf");
  refused_text("[1, NaN]", "no JSON");
  expect_error(ErrorCode::kIo, {"absent.json"}, [&] { parse_state(folder / "absent.json"); });
}

TEST(ParseState, ReadsNpy) {
  const TemporaryDirectory folder;
  write_npy(folder / "state.npy", {3}, Values{1, 2, 3});
  EXPECT_EQ(parse_state(folder / "state.npy"), (Values{1, 2, 3}));
  write_npy(folder / "row.npy", {1, 2}, Values{1, 2});
  EXPECT_EQ(parse_state(folder / "row.npy"), (Values{1, 2}));
}

TEST(ParseState, RefusesOtherNpy) {
  const TemporaryDirectory folder;
  write_npy(folder / "rows.npy", {2, 1}, Values{1, 2});
  refused(folder / "rows.npy", {"--state", "rows.npy", "[dims] or [1, dims]"});
  write_npy(folder / "scalar.npy", {}, Values{1});
  refused(folder / "scalar.npy", {"0 dimensions"});
  write_npy(folder / "nan.npy", {2}, Values{1, std::nanf("")});
  refused(folder / "nan.npy", {"nan.npy: value 1 is nan"});
}

TEST(ParseImageArgument, SplitsAtTheFirstEqualsSign) {
  const auto [camera, file] = parse_image_argument("base_0_rgb=runs/a=b.png");
  EXPECT_EQ(camera, "base_0_rgb");
  EXPECT_EQ(file, "runs/a=b.png");
}

TEST(ParseImageArgument, RefusesWhatIsNoPair) {
  for (const char* argument : {"front.png", "=front.png", "base_0_rgb=", "=", ""}) {
    expect_error(ErrorCode::kInvalidInput, {"--image", argument, "CAMERA=FILE"},
                 [&] { parse_image_argument(argument); });
  }
}

TEST(ReadNoise, ReadsFiniteArraysOnly) {
  const TemporaryDirectory folder;
  write_npy(folder / "noise.npy", {2, 2}, Values{1, 2, 3, 4});
  const NpyArray noise = read_noise(folder / "noise.npy");
  EXPECT_EQ(noise.shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(noise.values, (Values{1, 2, 3, 4}));
  write_npy(folder / "inf.npy", {2}, Values{1, INFINITY});
  expect_error(ErrorCode::kInvalidInput, {"--noise", "inf.npy: value 1 is inf"},
               [&] { read_noise(folder / "inf.npy"); });
  expect_error(ErrorCode::kInvalidInput, {"--noise", "noise.csv", ".npy"},
               [&] { read_noise(folder / "noise.csv"); });
}

}  // namespace
}  // namespace pi0
