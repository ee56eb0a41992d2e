// Amounts with the unit that suits them, as errors, tables and `pi0 info` show them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace pi0 {

// Three figures in the largest unit of a thousand of which there is one: "12.3 MB", "4.37 GB";
// below a thousand a whole number: "512 B".
std::string with_unit(double value, const std::array<const char*, 5>& units);
std::string bytes_text(std::uint64_t bytes);

}  // namespace pi0
