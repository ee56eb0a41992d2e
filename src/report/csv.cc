#include "report/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "pi0/error.h"

namespace pi0 {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  std::vector<CsvRow> parse() {
    std::vector<CsvRow> rows;
    while (!rest_.empty()) {
      CsvRow row = {field()};
      while (accept(',')) row.push_back(field());
      end_of_line();
      const bool empty_line = row.size() == 1 && row[0].empty();
      if (!empty_line) rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {} has {}", where_, line_, what));
  }
  bool accept(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void end_of_line() {
    accept('\r');
    if (!rest_.empty() && !accept('\n')) fail("text after a quoted field, expected a comma");
    ++line_;
  }
  std::string field() { return accept('"') ? quoted() : plain(); }
  std::string plain() {
    const std::size_t size = std::min(rest_.find_first_of(",\r\n"), rest_.size());
    const std::string_view text = rest_.substr(0, size);
    if (text.find('"') != std::string_view::npos) fail("a quote within a field without quotes");
    rest_.remove_prefix(size);
    return std::string(text);
  }
  std::string quoted() {
    std::string text;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"' && !accept('"')) return text;  // two of them are one in the text
      text += c;
    }
    fail("a quoted field that does not end");
  }

  std::string_view rest_;
  const std::string& where_;
  int line_ = 1;  // a quoted field's own line ends do not count
};

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& where) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return Parser(text, where).parse();
}

}  // namespace pi0
