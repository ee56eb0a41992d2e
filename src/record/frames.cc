#include "record/frames.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cassert>
#include <cstdint>

namespace pi0 {
namespace {

// msgpack's: a list of two, an integer of 8 bytes, bytes whose number is in 4. Big endian.
constexpr std::byte kListOfTwo{0x92}, kUint64{0xcf}, kBin32{0xc6};

void put(std::byte* at, std::uint64_t value, int bytes) {
  for (int i = bytes; i-- > 0; value >>= 8) at[i] = static_cast<std::byte>(value & 0xff);
}

std::uint64_t get(const std::byte* at, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | std::to_integer<std::uint64_t>(at[i]);
  return value;
}

std::uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH64(bytes.data(), bytes.size(), 0);
}

}  // namespace

std::array<std::byte, kFramePrefix> frame_prefix(std::span<const std::byte> payload) {
  assert(payload.size() <= kMostOfAFrame);
  std::array<std::byte, kFramePrefix> prefix = {};
  prefix[0] = kListOfTwo;
  prefix[1] = kUint64;
  put(&prefix[2], checksum(payload), 8);
  prefix[10] = kBin32;
  put(&prefix[11], payload.size(), 4);
  return prefix;
}

std::vector<std::span<const std::byte>> read_frames(
    std::span<const std::byte> file, const std::function<void(const std::string&)>& damaged) {
  std::vector<std::span<const std::byte>> payloads;
  for (std::size_t at = 0; at < file.size();) {
    const std::span<const std::byte> rest = file.subspan(at);
    if (rest.size() < kFramePrefix) {
      damaged(fmt::format("it ends at byte {} amid a call", file.size()));
      break;
    }
    if (rest[0] != kListOfTwo || rest[1] != kUint64 || rest[10] != kBin32) {
      damaged(fmt::format("byte {} begins no call, what follows is left out", at));
      break;
    }
    const std::size_t size = get(&rest[11], 4);
    if (size > rest.size() - kFramePrefix) {
      damaged(fmt::format("it ends at byte {} amid a call", file.size()));
      break;
    }
    const std::span<const std::byte> payload = rest.subspan(kFramePrefix, size);
    if (checksum(payload) == get(&rest[2], 8)) {
      payloads.push_back(payload);
    } else {
      damaged(fmt::format("the call at byte {} is damaged, and left out", at));
    }
    at += kFramePrefix + size;
  }
  return payloads;
}

}  // namespace pi0
