#include "prompt/prompt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "files/json.h"
#include "prompt/test_support.h"

namespace pi0 {
namespace {

constexpr int kNoLimit = 10000;

Tokenizer golden_tokenizer(const std::string& file = "tokenizer.model") {
  return Tokenizer::load(testdata("golden/preprocess/" + file));
}

class PromptOfEitherTokenizer : public testing::TestWithParam<std::string> {
 protected:
  Tokenizer tokenizer_ = golden_tokenizer(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Files, PromptOfEitherTokenizer,
                         testing::Values("tokenizer.model", "tokenizer.json"),
                         [](const auto& info) {
                           return info.param.substr(info.param.find('.') + 1);
                         });

TEST_P(PromptOfEitherTokenizer, OpenpiGoldens) {
  const Json goldens = read_json(testdata("golden/preprocess/prompts.json"));
  EXPECT_EQ(goldens.at("cases").size(), 12u);
  for (const Json& one : goldens.at("cases")) {
    const auto text = one.at("text").get<std::string>();
    const auto state = one.at("state").get<std::vector<double>>();
    const Prompt pi0 = make_prompt(tokenizer_, PromptStyle::kOpenpiPi0, text, state, kNoLimit);
    EXPECT_EQ(pi0.tokens, one.at("pi0_ids").get<Ids>()) << text;
    const Prompt pi05 = make_prompt(tokenizer_, PromptStyle::kPi05, text, state, kNoLimit);
    EXPECT_EQ(pi05.text, one.at("pi05_prompt").get<std::string>());
    EXPECT_EQ(pi05.tokens, one.at("pi05_ids").get<Ids>()) << text;
    EXPECT_EQ(pi05.warnings.size(), text.empty() ? 1u : 0u);
  }
}

// `case`.tokens, padded to what the network takes, and its mask.
void expect_lerobot_case(const Tokenizer& tokenizer, PromptStyle style, const SafeTensors& file,
                         const std::string& name, const std::string& task) {
  Ids expected = values_of<std::int32_t>(file, name + ".tokens");
  const auto mask = values_of<std::uint8_t>(file, name + ".token_mask");
  const int max_tokens = static_cast<int>(expected.size());
  std::size_t valid = 0;
  while (valid < mask.size() && mask[valid]) ++valid;
  expected.resize(valid);
  const auto state = values_of<float>(file, name + ".normalised_state");
  const Prompt prompt = make_prompt(tokenizer, style, task,
                                    std::vector<double>(state.begin(), state.end()), max_tokens);
  EXPECT_EQ(prompt.tokens, expected) << file.where() << " " << name;
}

TEST_P(PromptOfEitherTokenizer, LerobotGoldens) {
  for (const std::string kind : {"pi0", "pi05"}) {
    const SafeTensors file =
        SafeTensors::open(testdata("golden/" + kind + "_tiny/policy.safetensors"));
    for (const std::string name : {"policy_all_cameras", "policy_first_camera"}) {
      expect_lerobot_case(tokenizer_, kind == "pi0" ? PromptStyle::kLerobotPi0 : PromptStyle::kPi05,
                          file, name, file.metadata().at("task"));
    }
  }
  const SafeTensors odd = SafeTensors::open(testdata("golden/pi0_odd/policy.safetensors"));
  const Json tasks = parse_json(odd.metadata().at("tasks"), "tasks");
  EXPECT_EQ(tasks.size(), 5u);
  for (const auto& [name, task] : tasks.items()) {
    expect_lerobot_case(tokenizer_, PromptStyle::kLerobotPi0, odd, name, task.get<std::string>());
  }
}

TEST_P(PromptOfEitherTokenizer, OpenpiPolicies) {
  int compared = 0;
  for (const std::string directory : {"openpi_pi0", "openpi_pi05"}) {
    const SafeTensors file =
        SafeTensors::open(testdata("golden/" + directory + "/policy.safetensors"));
    const Json cases = parse_json(file.metadata().at("cases"), "cases");
    for (const auto& [name, one] : cases.items()) {
      const auto state = values_of<float>(file, name + ".normalised_state");
      const Prompt prompt = make_prompt(
          tokenizer_,
          one.at("prompt_format") == "pi05" ? PromptStyle::kPi05 : PromptStyle::kOpenpiPi0,
          one.at("prompt").get<std::string>(), std::vector<double>(state.begin(), state.end()),
          kNoLimit);
      EXPECT_EQ(prompt.tokens, values_of<std::int32_t>(file, name + ".tokens"))
          << directory << " " << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 6);
}

TEST(Prompt, TheFamiliesDifferInWhatTheyDoWithTheText) {
  const Tokenizer tokenizer = golden_tokenizer();
  const std::string text = " pick_up\nthe block\u3000\n";
  const double state[] = {0.5};
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kOpenpiPi0, text, {}, kNoLimit).text,
            "pick up the block\n");
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kLerobotPi0, text, {}, kNoLimit).text, text);
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kLerobotPi0, "go", {}, kNoLimit).text, "go\n");
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kBare, "go_\n", {}, kNoLimit).text, "go_\n");
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kBare, "go_", {}, kNoLimit).text, "go_");
  EXPECT_EQ(make_prompt(tokenizer, PromptStyle::kPi05, text, state, kNoLimit).text,
            "Task: pick up the block, State: 192;\nAction: ");
}

// "a\n" ends in the piece "\n", and "\n\n" is a piece of its own: openpi's text ends before.
TEST(Prompt, LerobotTokenizesTheNewlineWithTheText) {
  const Tokenizer tokenizer = golden_tokenizer();
  const Ids openpi = make_prompt(tokenizer, PromptStyle::kOpenpiPi0, "\n\n", {}, kNoLimit).tokens;
  const Ids lerobot = make_prompt(tokenizer, PromptStyle::kLerobotPi0, "\n\n", {}, kNoLimit).tokens;
  EXPECT_EQ(openpi, Ids({2, 4}));
  EXPECT_EQ(lerobot, Ids({2, 5}));
}

TEST(Prompt, TooLongIsCutWithAWarning) {
  const Tokenizer tokenizer = golden_tokenizer();
  const Prompt whole = make_prompt(tokenizer, PromptStyle::kOpenpiPi0, "open the drawer", {}, 5);
  EXPECT_EQ(whole.tokens, Ids({2, 360, 266, 340, 4}));  // of prompts.json
  EXPECT_TRUE(whole.warnings.empty());
  const Prompt cut = make_prompt(tokenizer, PromptStyle::kOpenpiPi0, "open the drawer", {}, 3);
  EXPECT_EQ(cut.tokens, Ids({2, 360, 266}));
  ASSERT_EQ(cut.warnings.size(), 1u);
  EXPECT_NE(cut.warnings[0].find("5 tokens"), std::string::npos) << cut.warnings[0];
  EXPECT_NE(cut.warnings[0].find("the 3 "), std::string::npos) << cut.warnings[0];
}

TEST(Prompt, AnEmptyInstructionIsLegalAndWarnedAbout) {
  const Tokenizer tokenizer = golden_tokenizer();
  for (const std::string text : {"", " \n"}) {
    for (const PromptStyle style :
         {PromptStyle::kOpenpiPi0, PromptStyle::kLerobotPi0, PromptStyle::kPi05}) {
      const Prompt prompt = make_prompt(tokenizer, style, text, {}, kNoLimit);
      EXPECT_EQ(prompt.tokens.front(), 2);
      ASSERT_EQ(prompt.warnings.size(), 1u);
      EXPECT_NE(prompt.warnings[0].find("empty"), std::string::npos);
    }
  }
}

TEST(Prompt, WhatIsNotUtf8IsRefused) {
  const Tokenizer tokenizer = golden_tokenizer();
  for (const PromptStyle style :
       {PromptStyle::kOpenpiPi0, PromptStyle::kLerobotPi0, PromptStyle::kPi05}) {
    // Of the caller's text, not of the cleaned one.
    expect_error(ErrorCode::kInvalidInput, {"the prompt is not UTF-8", "byte 4 of its 6"},
                 [&] { make_prompt(tokenizer, style, "  ab\xc3 ", {}, kNoLimit); });
  }
}

// What numpy 2 gives for np.digitize(x, np.linspace(-1, 1, 257)[:-1]) - 1.
TEST(Digitize, AsNumpy) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {-1.0,      std::nextafter(-1.0, -2.0),
                                      0.0,       std::nextafter(0.0, -1.0),
                                      0.0078125, std::nextafter(0.0078125, 0.0),
                                      0.9921875, std::nextafter(0.9921875, 0.0),
                                      1.0,       1e300,
                                      -1e300,    infinity,
                                      -infinity, -0.9921875};
  EXPECT_EQ(digitize_state(values),
            std::vector<int>({0, -1, 128, 127, 129, 128, 255, 254, 255, 255, -1, 255, -1, 1}));
  EXPECT_TRUE(digitize_state({}).empty());
}

TEST(Digitize, NotANumberIsRefused) {
  const double values[] = {0.0, std::nan("")};
  expect_error(ErrorCode::kInvalidInput, {"value 1"}, [&] { digitize_state(values); });
}

}  // namespace
}  // namespace pi0
