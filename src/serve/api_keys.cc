#include "serve/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "files/file.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::size_t kLeast = 16;  // characters

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Of one length, whatever the key's.
Digest digest(std::string_view text) {
  Digest result;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), result.data());
  return result;
}

// The password of "user:password" in base64; empty where it is none.
std::string password_of(std::string_view encoded) {
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() > 4096) return "";
  std::vector<unsigned char> decoded(encoded.size() / 4 * 3 + 1);
  const int size =
      EVP_DecodeBlock(decoded.data(), reinterpret_cast<const unsigned char*>(encoded.data()),
                      static_cast<int>(encoded.size()));
  if (size < 0) return "";
  std::string text(decoded.begin(), decoded.begin() + size);
  for (const char padding : encoded.substr(encoded.size() - 2)) {
    if (padding == '=') text.pop_back();
  }
  const std::size_t colon = text.find(':');
  return colon == std::string::npos ? "" : text.substr(colon + 1);
}

}  // namespace

std::vector<std::string> read_api_keys(const std::filesystem::path& file) {
  const auto refuse = [&file](const std::string& sentence) {
    throw Error(ErrorCode::kInvalidInput, file.string() + ": " + sentence);
  };
  const std::string text = read_file(file, 1 << 20);
  struct stat status = {};
  const bool known = ::stat(file.c_str(), &status) == 0;
  const bool of_root = known && status.st_uid == 0;
  if (!known || (status.st_mode & (of_root ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO)) != 0) {
    refuse("others than its owner may read it, expected keys that they may not (chmod 600)");
  }
  std::vector<std::string> keys;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    const bool printable =
        std::all_of(line.begin(), line.end(), [](char c) { return c > 32 && c < 127; });
    if (!printable || line.size() < kLeast) {
      refuse(fmt::format("line {}: no key, expected {} printable characters or more without spaces",
                         number, kLeast));
    }
    keys.push_back(std::move(line));
  }
  if (keys.empty()) refuse("no key, expected one a line");
  return keys;
}

bool is_authorized(const std::vector<std::string>& keys, std::string_view authorization) {
  std::string given;
  for (const std::string_view scheme : {"Api-Key ", "Bearer "}) {
    if (authorization.starts_with(scheme)) given = authorization.substr(scheme.size());
  }
  if (authorization.starts_with("Basic ")) given = password_of(authorization.substr(6));
  const Digest of_given = digest(given);
  bool found = keys.empty();
  for (const std::string& key : keys) {
    const Digest of_key = digest(key);
    found |= CRYPTO_memcmp(of_key.data(), of_given.data(), of_key.size()) == 0;
  }
  return found;
}

}  // namespace pi0
