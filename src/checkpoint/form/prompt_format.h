// Which prompt format a checkpoint takes.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/form/checkpoint_data.h"
#include "pi0/error.h"

namespace pi0 {

// "0.4", or a later release such as "0.6.1". Throws Error (`code`) naming `where` for another.
LerobotRelease parse_lerobot_release(const std::string& text, const std::string& where,
                                     ErrorCode code);

// "pi0" or "pi05". Throws Error (`code`) naming `where` for another.
PromptFormat parse_prompt_format(const std::string& text, const std::string& where, ErrorCode code);

// "pi0", "pi05", or "bare": the instruction alone.
const char* name_of(PromptFormat format);

// The format that is asked for, or else that of the kind. Throws Error (`code`) naming `where`,
// which asks, for the format of pi05 with a network of pi0: it has no use for the state in its
// text.
PromptFormat choose_prompt_format(ModelKind kind, const std::optional<PromptFormat>& asked,
                                  const std::string& where, ErrorCode code);

}  // namespace pi0
