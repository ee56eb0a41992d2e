// Ways out that several checks give.
#pragma once

namespace pi0 {

inline constexpr const char* kPaligemmasTokenizer =
    "give PaliGemma's own by --tokenizer: google/paligemma-3b-pt-224, or openpi's "
    "paligemma_tokenizer.model";
inline constexpr const char* kCopyAgain =
    "correct what is named here, or copy it again from where training left it";
inline constexpr const char* kRealSpread =
    "set it to the dimension's real spread, or to 1 where the robot never moves it";

}  // namespace pi0
