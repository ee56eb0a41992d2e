#include "checkpoint/form/prompt_format.h"

#include "checkpoint/form/sentence.h"
#include "files/json.h"

namespace pi0 {

LerobotRelease parse_lerobot_release(const std::string& text, const std::string& where,
                                     ErrorCode code) {
  for (const std::string release : {"0.4", "0.5", "0.6"}) {
    if (text == release || text.starts_with(release + ".")) {
      return release == "0.4" ? LerobotRelease::k0_4 : LerobotRelease::k0_5;
    }
  }
  fail(where, "lerobot's version is " + describe(text) + ", expected 0.4, 0.5 or 0.6", code);
}

PromptFormat parse_prompt_format(const std::string& text, const std::string& where,
                                 ErrorCode code) {
  if (text == "pi0") return PromptFormat::kPi0;
  if (text == "pi05") return PromptFormat::kPi05;
  fail(where, "the prompt format is " + describe(text) + ", expected \"pi0\" or \"pi05\"", code);
}

const char* name_of(PromptFormat format) {
  switch (format) {
    case PromptFormat::kPi0:
      return "pi0";
    case PromptFormat::kPi05:
      return "pi05";
    case PromptFormat::kBare:
      return "bare";
  }
  return "";
}

PromptFormat choose_prompt_format(ModelKind kind, const std::optional<PromptFormat>& asked,
                                  const std::string& where, ErrorCode code) {
  const bool pi05 = kind == ModelKind::kPi05;
  if (!asked) return pi05 ? PromptFormat::kPi05 : PromptFormat::kPi0;
  if (!pi05 && *asked == PromptFormat::kPi05) {
    fail(where,
         "the prompt format pi05 puts the state into the text, but this network of pi0 takes it as "
         "a vector: expected pi0",
         code);
  }
  return *asked;
}

}  // namespace pi0
