#include "doctor/taken_over.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "doctor/ways_out.h"

namespace pi0 {
namespace {

// How the clause of a sentence begins that says what to do, after what divides it from the rest.
constexpr std::string_view kWhatToDo[] = {
    ": merge ",  ": copy ",     ": name ",     ": take ",   ": say ",   ": update ",
    ": delete ", "; download ", "; put ",      "; update ", "; `",      "; --",
    "; set up ", "; tt-smi",    "; TT_METAL_", "; take ",   ", choose "};

// Of sentences that hold `words`, the first of its list.
struct Kind {
  std::string_view words;
  const char* why;
  const char* way_out;  // where the sentence says none
};

constexpr const char* kRefused = "pi0 run would refuse the checkpoint for it";
// Not --raw, which the sentence itself offers: it gives a robot numbers of no unit.
constexpr const char* kOtherStatistics =
    "copy the statistics again from where training left them, or name others by --norm-stats";
constexpr Kind kRefusals[] = {
    {"among the weights",
     "they are not applied: the policy acts as if it had never been fine-tuned",
     "merge them into the weights (PEFT's merge_and_unload) and save again"},
    {"without which states and actions have no units", kRefused, kOtherStatistics},
    {"not supported", kRefused,
     "run it with the library that trained it, or train it without what is named here"},
    {"cannot be given", kRefused, "leave that option away"},
    {"missing or wrong", kRefused,
     "the configuration and the weights have to be of one training: copy both again from where it "
     "left them"},
    {"norm_stats", kRefused, kOtherStatistics},
    {"normalizer_processor", kRefused, kOtherStatistics},
    {"processor.json", kRefused, kCopyAgain},
    {"okenizer", kRefused, kPaligemmasTokenizer},
    {"SentencePiece", kRefused, kPaligemmasTokenizer},
    {" device needs ", kRefused,
     "run it where more memory is free, or with weights of fewer bytes (--dtype)"},
    {"device ", kRefused, "name another by --device"},
    {"", kRefused, kCopyAgain},
};

constexpr Kind kWarnings[] = {
    {"lerobot 0.4",
     "of the other release, the network is shown its prompt or its images otherwise than in "
     "training",
     "say which release trained it by --lerobot-version"},
    {"trained as ",
     "where they were not merged before, the policy acts as if it had never been fine-tuned",
     "make sure that they were merged before the conversion; --dataset-sample shows whether the "
     "policy predicts your data"},
    {"elsewhere is taken",
     "statistics of other data give every state and action another size, and the robot moves by it",
     "make sure that they are of the data that the policy was trained on, and name them by "
     "--norm-stats"},
    {"becomes very large there", "the dimension is divided by nothing, or next to nothing",
     kRealSpread},
    {"the former is followed",
     "if the latter is right, actions are added to the state that should not be, or are not that "
     "should be",
     "enable both, or neither, as it was in training"},
    {"no processors beside the adapters",
     "the base's statistics are of the data of the base's training, and the adapters' may be "
     "others",
     "copy the processors from where training left the adapters, or name its statistics by "
     "--norm-stats"},
    {"passes as it is", "the network gets it in other units, unless it was trained so",
     "name the statistics of the training by --norm-stats, if it had any of it"},
    {"are assumed", "steps that were never trained are noise, and each attends to the others",
     "say how many by --action-horizon"},
    {"not known to lerobot", "what it stood for in training is left out here",
     "where the policy depends on it, run it with the lerobot that trained it"},
    {"older releases of peft", "what was trained of them is lost",
     "train again with a release of peft that saves them, if --dataset-sample shows that they are "
     "wanted"},
    {"", "the policy may not be as it was trained",
     "compare with what training left; --dataset-sample shows whether the policy predicts your "
     "data"},
};

// Cuts what says what to do off a sentence; empty where nothing does.
std::string take_what_to_do(std::string& sentence) {
  std::size_t first = std::string::npos;
  for (const std::string_view words : kWhatToDo) first = std::min(first, sentence.find(words));
  if (first == std::string::npos) return "";
  std::string clause = sentence.substr(first + std::string_view(": ").size());
  sentence.resize(first);
  return clause;
}

const Kind& kind_of(const std::string& sentence, std::span<const Kind> kinds) {
  return *std::find_if(kinds.begin(), kinds.end(), [&](const Kind& kind) {
    return sentence.find(kind.words) != std::string::npos;
  });
}

}  // namespace

Finding taken_over(Severity severity, const std::string& sentence,
                   const std::filesystem::path& directory) {
  Finding finding{severity, "checkpoint", sentence};
  if (const std::string whole = directory.string() + ": "; sentence.starts_with(whole)) {
    finding.found.erase(0, whole.size());
  }
  if (const std::string within = (directory / "").string(); sentence.starts_with(within)) {
    finding.found.erase(0, within.size());
    if (const std::size_t end = finding.found.find(": "); end != std::string::npos) {
      finding.subject = finding.found.substr(0, end);
      finding.found.erase(0, end + 2);
    }
  }
  const bool refused = severity == Severity::kRefuse;
  const Kind& kind = kind_of(finding.subject + ": " + finding.found,
                             refused ? std::span<const Kind>(kRefusals) : kWarnings);
  finding.why = kind.why;
  finding.way_out = take_what_to_do(finding.found);
  if (finding.way_out.empty()) finding.way_out = kind.way_out;
  return finding;
}

}  // namespace pi0
