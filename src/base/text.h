// Text of other people's (names, prompts) for a terminal or a drawing: always UTF-8, always one
// line, never a control character that a terminal would obey.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pi0 {

// The characters of `text`. What is not UTF-8 becomes U+FFFD, a control character a space.
std::u32string characters(std::string_view text);
std::string to_utf8(std::u32string_view characters);
// Both: `text` as it may be printed.
std::string printable(std::string_view text);

// Columns of a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks.
int display_width(char32_t character);
int display_width(std::string_view text);

// `text` in at most `width` columns; where it is longer, "…" stands for what is left out at its
// end or in its middle (names often differ at both ends: left_…_pos).
std::string shorten_end(std::string_view text, int width);
std::string shorten_middle(std::string_view text, int width);

// `value` with `decimals` digits after the point: "0.05", "1.25e-05". Never "-0.00", and the same
// in every locale.
std::string fixed_text(double value, int decimals);
std::string scientific_text(double value, int decimals);
// `value` with at most `digits` significant ones, in the shorter of the two forms: "0.05", "1e+09".
std::string short_text(double value, int digits);

// A number as a person writes it, around which spaces are allowed; "nan" and "inf" are read too.
// No value when `text` is something else, or its magnitude is beyond float's.
std::optional<float> parse_number(std::string_view text);

}  // namespace pi0
