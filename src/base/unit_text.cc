#include "base/unit_text.h"

#include <fmt/format.h>

namespace pi0 {

std::string with_unit(double value, const std::array<const char*, 5>& units) {
  std::size_t unit = 0;
  // 999.5 of a unit would be written as a thousand of it.
  while (value >= (unit == 0 ? 1000 : 999.5) && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

std::string bytes_text(std::uint64_t bytes) {
  return with_unit(static_cast<double>(bytes), {"B", "kB", "MB", "GB", "TB"});
}

}  // namespace pi0
