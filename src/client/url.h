// Where a policy server is.
#pragma once

#include <string>

namespace pi0 {

struct Url {
  bool encrypted = false;  // wss
  std::string host = {};   // without the brackets of IPv6
  std::string port = {};
  std::string path = "/";

  std::string authority() const;  // as the header Host has it
};

// ws://HOST[:PORT][/PATH] or wss://…. Throws Error (kInvalidInput) for another.
Url parse_url(const std::string& text);

}  // namespace pi0
