#include "client/url.h"

#include <gtest/gtest.h>

#include "base/test_support.h"

namespace pi0 {
namespace {

TEST(UrlTest, SaysWhere) {
  const Url plain = parse_url("ws://robot-3.lab:8000");
  EXPECT_FALSE(plain.encrypted);
  EXPECT_EQ(plain.host, "robot-3.lab");
  EXPECT_EQ(plain.port, "8000");
  EXPECT_EQ(plain.path, "/");
  EXPECT_EQ(plain.authority(), "robot-3.lab:8000");
  const Url encrypted = parse_url("wss://[::1]/a/b?c#d");
  EXPECT_TRUE(encrypted.encrypted);
  EXPECT_EQ(encrypted.host, "::1");
  EXPECT_EQ(encrypted.port, "443");
  EXPECT_EQ(encrypted.path, "/a/b?c");
  EXPECT_EQ(encrypted.authority(), "[::1]:443");
  EXPECT_EQ(parse_url("ws://host?key=1").path, "/?key=1");
  EXPECT_EQ(parse_url("ws://host").port, "80");
}

TEST(UrlTest, RefusesWhatIsNone) {
  for (const char* const text :
       {"", "host:8000", "http://host", "ws://", "ws://:8000", "ws://host:", "ws://host:0",
        "ws://host:65536", "ws://host:8000x", "ws://[::1", "ws://[]:80", "ws://ho st",
        "ws://host/a\r\nX: y", "ws://user@host"}) {
    SCOPED_TRACE(text);
    expect_error(ErrorCode::kInvalidInput, {"url", "expected ws://HOST:PORT"},
                 [text] { parse_url(text); });
  }
}

}  // namespace
}  // namespace pi0
