#include "wire/encode.h"

#include <bit>
#include <cassert>

namespace pi0 {

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie here");

Encoder& Encoder::map(std::size_t entries) {
  packer_.pack_map(static_cast<std::uint32_t>(entries));
  return *this;
}

Encoder& Encoder::list(std::size_t values) {
  packer_.pack_array(static_cast<std::uint32_t>(values));
  return *this;
}

Encoder& Encoder::nil() {
  packer_.pack_nil();
  return *this;
}

Encoder& Encoder::boolean(bool value) {
  packer_.pack(value);
  return *this;
}

Encoder& Encoder::integer(std::int64_t value) {
  packer_.pack(value);
  return *this;
}

Encoder& Encoder::unsigned_integer(std::uint64_t value) {
  packer_.pack(value);
  return *this;
}

Encoder& Encoder::number(double value) {
  // Not pack_double(), which makes an integer of a whole number.
  const auto bits = std::bit_cast<std::uint64_t>(value);
  char bytes[9] = {'\xcb'};
  for (int i = 0; i < 8; ++i) bytes[1 + i] = static_cast<char>(bits >> (56 - 8 * i));
  buffer_.write(bytes, sizeof bytes);
  return *this;
}

Encoder& Encoder::text(std::string_view value) {
  packer_.pack_str(static_cast<std::uint32_t>(value.size()));
  packer_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

Encoder& Encoder::texts(std::span<const std::string> values) {
  list(values.size());
  for (const std::string& value : values) text(value);
  return *this;
}

Encoder& Encoder::bytes(std::span<const std::byte> value) {
  packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
  packer_.pack_bin_body(reinterpret_cast<const char*>(value.data()),
                        static_cast<std::uint32_t>(value.size()));
  return *this;
}

Encoder& Encoder::array(const char* dtype, const std::vector<std::int64_t>& shape,
                        std::span<const std::byte> data) {
  const auto key = [this](std::string_view name) {  // bin, as Python's bytes are packed
    bytes(std::as_bytes(std::span(name)));
  };
  map(4);
  key("__ndarray__");
  boolean(true);
  key("data");
  bytes(data);
  key("dtype");
  text(dtype);
  key("shape");
  list(shape.size());
  for (const std::int64_t extent : shape) integer(extent);
  return *this;
}

Encoder& Encoder::array(const std::vector<std::int64_t>& shape, std::span<const float> values) {
  return array("<f4", shape, std::as_bytes(values));
}

Encoder& Encoder::pixels(int height, int width, std::span<const std::uint8_t> rgb) {
  assert(rgb.size() == std::size_t{3} * height * width);
  return array("|u1", {height, width, 3}, std::as_bytes(rgb));
}

Encoder& Encoder::planes(int height, int width, std::span<const std::uint8_t> rgb) {
  assert(rgb.size() == std::size_t{3} * height * width);
  std::vector<std::uint8_t> turned;
  turned.reserve(rgb.size());
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t at = channel; at < rgb.size(); at += 3) turned.push_back(rgb[at]);
  }
  return array("|u1", {3, height, width}, std::as_bytes(std::span(turned)));
}

Encoder& Encoder::encoded(std::span<const std::byte> value) {
  buffer_.write(reinterpret_cast<const char*>(value.data()), value.size());
  return *this;
}

std::vector<std::byte> Encoder::take() const {
  const auto* const begin = reinterpret_cast<const std::byte*>(buffer_.data());
  return {begin, begin + buffer_.size()};
}

}  // namespace pi0
