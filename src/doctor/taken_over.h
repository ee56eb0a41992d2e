// What `pi0 run` refuses a checkpoint for or warns of, a sentence each, as findings: with a reason
// and a way out.
#pragma once

#include <filesystem>
#include <string>

#include "doctor/finding.h"

namespace pi0 {

// "DIR/config.json: it has …" -> the subject "config.json", and the rest. What the sentence says to
// do is the way out; where it does not say it, one of its kind is.
Finding taken_over(Severity severity, const std::string& sentence,
                   const std::filesystem::path& directory);

}  // namespace pi0
