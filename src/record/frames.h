// How recorded calls lie in a file: msgpack values one after another, each [checksum, bytes], where
// the bytes are a map. Any msgpack reader can follow: in Python,
//   for checksum, payload in msgpack.Unpacker(open(file, "rb"), max_buffer_size=0):
//       call = msgpack.unpackb(payload)
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pi0 {

inline constexpr std::size_t kFramePrefix = 15;         // bytes
inline constexpr std::size_t kMostOfAFrame = 1u << 30;  // bytes of a payload

// What goes before `payload`.
std::array<std::byte, kFramePrefix> frame_prefix(std::span<const std::byte> payload);

// The payloads that are whole; `damaged` is told in a sentence of what is not. What follows one
// whose length cannot be told is lost.
std::vector<std::span<const std::byte>> read_frames(
    std::span<const std::byte> file, const std::function<void(const std::string&)>& damaged);

}  // namespace pi0
