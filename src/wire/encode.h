// A message, written as openpi's Python packs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <msgpack.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// Values one after another; a map or a list is begun with how many follow. Keys and numpy's arrays
// are as openpi_client.msgpack_numpy has them.
class Encoder {
 public:
  Encoder& map(std::size_t entries);
  Encoder& list(std::size_t values);
  Encoder& nil();
  Encoder& boolean(bool value);
  Encoder& integer(std::int64_t value);
  Encoder& unsigned_integer(std::uint64_t value);
  Encoder& number(double value);
  Encoder& text(std::string_view value);  // a key too
  Encoder& texts(std::span<const std::string> values);
  Encoder& bytes(std::span<const std::byte> value);
  // float32; `values` fill the shape.
  Encoder& array(const std::vector<std::int64_t>& shape, std::span<const float> values);
  // uint8, [height, width, 3].
  Encoder& pixels(int height, int width, std::span<const std::uint8_t> rgb);
  // uint8, [3, height, width], of the same [height, width, 3].
  Encoder& planes(int height, int width, std::span<const std::uint8_t> rgb);
  // A value that is encoded already.
  Encoder& encoded(std::span<const std::byte> value);

  std::size_t size() const { return buffer_.size(); }
  std::vector<std::byte> take() const;

 private:
  Encoder& array(const char* dtype, const std::vector<std::int64_t>& shape,
                 std::span<const std::byte> data);

  msgpack::sbuffer buffer_;
  msgpack::packer<msgpack::sbuffer> packer_{buffer_};
};

}  // namespace pi0
