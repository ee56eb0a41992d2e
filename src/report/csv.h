// Comma-separated values: https://www.rfc-editor.org/rfc/rfc4180
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// `text` as a field: in quotes when it has a comma, a quote or a line end in it.
std::string csv_field(std::string_view text);

using CsvRow = std::vector<std::string>;

// Lines may end in CRLF or LF; a byte order mark and empty lines are passed over. Throws Error
// (kInvalidInput) naming `where` and the line when quotes do not match.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& where);

}  // namespace pi0
