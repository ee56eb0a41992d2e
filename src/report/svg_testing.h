// What tests of drawings share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

namespace pi0 {

// How often `part` stands in `text`.
inline int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// Enough of a parser of XML to find elements that do not match and text that is not escaped.
inline void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < svg.size()) {
    ASSERT_EQ(svg[at], '<') << svg.substr(at, 80);
    const std::size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    ASSERT_EQ(tag.find('<'), std::string::npos) << tag;
    ASSERT_EQ(count(tag, "\"") % 2, 0) << tag;
    // Base64 may hold any letters.
    ASSERT_TRUE(tag.starts_with("image ") || count(tag, "nan") + count(tag, "inf") == 0) << tag;
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = std::min(svg.find('<', end), svg.size());
    const std::string text = svg.substr(end + 1, at - end - 1);
    for (std::size_t i = text.find('&'); i != text.npos; i = text.find('&', i + 1)) {
      ASSERT_TRUE(std::regex_search(text.substr(i, 7), std::regex("^&(amp|lt|gt|quot|#39);")))
          << text;
    }
  }
  EXPECT_TRUE(open.empty());
}

}  // namespace pi0
