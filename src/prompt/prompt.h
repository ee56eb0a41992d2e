// From an instruction and a state to the tokens of the prompt.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prompt/tokenizer.h"

namespace pi0 {

// How a prompt is written. "Cleaned" is Python's text.strip().replace("_", " ").replace("\n", " ").
enum class PromptStyle {
  // openpi's PaligemmaTokenizer without a state: BOS, the cleaned text, and "\n" tokenized by
  // itself.
  kOpenpiPi0,
  // lerobot's Pi0NewLineProcessor: BOS and the text as it is, with "\n" after it unless it ends
  // with one, tokenized as a whole.
  kLerobotPi0,
  // BOS and the text as it is, of a lerobot pipeline that has no step for it.
  kBare,
  // Both families': BOS and "Task: {cleaned}, State: {bins};\nAction: ".
  kPi05,
};

struct Prompt {
  std::vector<std::int32_t> tokens;   // at least one, BOS first; not padded
  std::string text;                   // what was tokenized, also what was then cut off
  std::vector<std::string> warnings;  // a sentence each: an empty instruction, tokens cut off
};

// `normalised_state` is what the network was trained on, not padded (lerobot: values rounded to
// fp32, as its tensors are); only kPi05 uses it. Of more than `max_tokens` tokens the last are cut.
// Throws Error (kInvalidInput) when the instruction is not UTF-8, or a number of the state is NaN.
Prompt make_prompt(const Tokenizer& tokenizer, PromptStyle style, std::string_view instruction,
                   std::span<const double> normalised_state, int max_tokens);

// Each value's bin, numpy's digitize(values, linspace(-1, 1, 257)[:-1]) - 1: 0 to 255 over [-1, 1],
// -1 below it, 255 above it. Throws Error (kInvalidInput) for NaN.
std::vector<int> digitize_state(std::span<const double> values);

}  // namespace pi0
