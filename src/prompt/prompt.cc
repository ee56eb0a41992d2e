#include "prompt/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "base/utf8.h"
#include "pi0/error.h"
#include "prompt/python_text.h"

namespace pi0 {
namespace {

std::string cleaned(std::string_view instruction) {
  std::string text(python_strip(instruction));
  for (char& c : text) {
    if (c == '_' || c == '\n') c = ' ';
  }
  return text;
}

std::string joined(const std::vector<int>& bins) {
  std::string text;
  for (const int bin : bins) {
    if (!text.empty()) text += ' ';
    text += std::to_string(bin);
  }
  return text;
}

}  // namespace

std::vector<int> digitize_state(std::span<const double> values) {
  constexpr int kBins = 256;
  std::array<double, kBins> edges;  // the lower edge of each; all are exact in binary
  for (int i = 0; i < kBins; ++i) edges[i] = -1.0 + i * (2.0 / kBins);
  std::vector<int> bins;
  for (const double value : values) {
    if (std::isnan(value)) {
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("state: value {} is not a number, which no bin can hold", bins.size()));
    }
    const auto above = std::upper_bound(edges.begin(), edges.end(), value);
    bins.push_back(static_cast<int>(above - edges.begin()) - 1);
  }
  return bins;
}

Prompt make_prompt(const Tokenizer& tokenizer, PromptStyle style, std::string_view instruction,
                   std::span<const double> normalised_state, int max_tokens) {
  assert(max_tokens > 0);
  if (const auto offset = find_invalid_utf8(instruction)) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the prompt is not UTF-8: byte {} of its {} is not part of a character",
                            *offset, instruction.size()));
  }
  Prompt prompt;
  if (python_strip(instruction).empty()) {
    prompt.warnings.emplace_back("the prompt is empty: the policy is not told what to do");
  }
  prompt.tokens.push_back(tokenizer.bos_id());
  const auto append = [&](const std::string& text) {
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    prompt.tokens.insert(prompt.tokens.end(), ids.begin(), ids.end());
    prompt.text += text;
  };
  switch (style) {
    case PromptStyle::kOpenpiPi0:
      append(cleaned(instruction));
      append("\n");
      break;
    case PromptStyle::kLerobotPi0:
      append(std::string(instruction) + (instruction.ends_with('\n') ? "" : "\n"));
      break;
    case PromptStyle::kBare:
      append(std::string(instruction));
      break;
    case PromptStyle::kPi05:
      append(fmt::format("Task: {}, State: {};\nAction: ", cleaned(instruction),
                         joined(digitize_state(normalised_state))));
      break;
  }
  const auto limit = static_cast<std::size_t>(max_tokens);
  if (prompt.tokens.size() > limit) {
    prompt.warnings.push_back(
        fmt::format("the prompt has {} tokens and is cut to the {} that the network takes",
                    prompt.tokens.size(), limit));
    prompt.tokens.resize(limit);
  }
  return prompt;
}

}  // namespace pi0
