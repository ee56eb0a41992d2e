#include "wire/decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <msgpack.hpp>

#include "base/test_support.h"
#include "files/json.h"
#include "wire/wire_testing.h"

namespace pi0 {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// What `pack` packs.
template <typename Pack>
std::string packed(Pack pack) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  pack(packer);
  return {buffer.data(), buffer.size()};
}

struct ArrayFields {
  std::string data = "\1\2";
  std::string dtype = "|u1";
  std::vector<std::int64_t> shape = {2};
};
std::string array_message(const ArrayFields& fields) {
  return packed([&fields](auto& packer) {
    packer.pack_map(4);
    packer.pack("__ndarray__").pack(true);
    packer.pack("data").pack_bin(static_cast<std::uint32_t>(fields.data.size()));
    packer.pack_bin_body(fields.data.data(), static_cast<std::uint32_t>(fields.data.size()));
    packer.pack("dtype").pack(fields.dtype);
    packer.pack("shape").pack(fields.shape);
  });
}

void expect_refused(const std::string& message, const std::vector<std::string>& words) {
  SCOPED_TRACE(words.front());
  expect_error(ErrorCode::kInvalidInput, words, [&message] { decode(bytes_of(message)); });
}

TEST(DecodeTest, ArraysOfEveryTypeAreNumpys) {
  const GoldenMessages golden;
  const Json numbers = parse_json(golden.metadata("numbers"), "numbers");
  const ValueMap map = golden.map("types");
  ASSERT_EQ(map.size(), numbers.size());
  for (const auto& [name, value] : map) {
    SCOPED_TRACE(name);
    const auto expected = numbers.at(std::string(name)).get<std::vector<double>>();
    const std::vector<float> found = to_floats(value, name);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i], static_cast<float>(expected[i])) << i;
    }
    const NumpyArray& array = *value.as<NumpyArray>();
    if (name.size() > 3) continue;  // "<f4", but of one byte a "|"
    const std::string dtype =
        name[2] == '1' ? "|" + std::string(name.substr(1)) : std::string(name);
    EXPECT_EQ(dtype_text(array.type), dtype);
    EXPECT_EQ(array.shape, (std::vector<std::int64_t>{2, 3}));
  }
  EXPECT_TRUE(find_value(map, "no sides")->as<NumpyArray>()->shape.empty());
  EXPECT_EQ(describe(*find_value(map, "nothing")), "an array <f4 [0, 3]");
}

// What values_message() of tools/make_robot_goldens.py packed.
TEST(DecodeTest, ValuesOfEveryKindArePythons) {
  const GoldenMessages golden;
  const ValueMap map = golden.map("values");
  const auto at = [&map](std::string_view key) -> const Value& {
    const Value* const found = find_value(map, key);
    if (!found) throw Error(ErrorCode::kIo, std::string(key));
    return *found;
  };
  // numpy's scalars, of which its float32 of 0.1 is no longer 0.1.
  EXPECT_EQ(*at("float16").as<double>(), 0.0999755859375);
  EXPECT_EQ(*at("float32").as<double>(), double{0.1f});
  EXPECT_EQ(*at("float64").as<double>(), 0.1);
  EXPECT_EQ(*at("int8").as<std::int64_t>(), -3);
  EXPECT_EQ(*at("uint64").as<std::uint64_t>(), ~std::uint64_t{0});
  EXPECT_TRUE(*at("bool_").as<bool>());
  EXPECT_EQ(*at("str_").as<std::string_view>(), "öffne");
  EXPECT_EQ(to_text(at("bytes_"), ""), "open");

  EXPECT_EQ(*at("text").as<std::string_view>(), "Öffne die 🤖");
  EXPECT_EQ(at("long text").as<std::string_view>()->size(), 80u);
  EXPECT_EQ(at("bytes").as<ValueBytes>()->size(), 2u);
  EXPECT_EQ((*at("bytes").as<ValueBytes>())[1], std::byte{0xff});
  EXPECT_EQ(to_text(at("texts little"), ""), "Öffne die 🤖");
  EXPECT_EQ(to_text(at("texts big"), ""), "Öffne");  // of 9 characters
  EXPECT_EQ(to_text(at("no text"), ""), "");

  EXPECT_TRUE(at("none").as<std::monostate>());
  EXPECT_TRUE(*at("true").as<bool>());
  EXPECT_FALSE(*at("false").as<bool>());
  const ValueList& integers = *at("integers").as<ValueList>();
  ASSERT_EQ(integers.size(), 10u);
  EXPECT_EQ(*integers[0].as<std::int64_t>(), 0);
  EXPECT_EQ(*integers[5].as<std::int64_t>(), 65536);
  EXPECT_EQ(*integers[7].as<std::int64_t>(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(*integers[8].as<std::uint64_t>(), std::uint64_t{1} << 63);
  const ValueList& negative = *at("negative").as<ValueList>();
  ASSERT_EQ(negative.size(), 7u);
  EXPECT_EQ(*negative[3].as<std::int64_t>(), -129);
  EXPECT_EQ(*negative[6].as<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
  EXPECT_TRUE(std::isnan(*at("nan").as<double>()));
  EXPECT_EQ(to_floats(at("infinite"), "")[1], -std::numeric_limits<float>::infinity());
  const ValueMap& inner = to_map(*find_value(to_map(at("map"), ""), "a"), "");
  EXPECT_EQ(to_floats(*find_value(inner, "b"), ""), (std::vector<float>{1, 2.5}));
  EXPECT_EQ(*at("bytes for a key").as<std::int64_t>(), 1);
}

// Others pack numpy's own keys as texts.
TEST(DecodeTest, NumpysKeysMayBeTexts) {
  const GoldenMessages golden;
  const ValueMap map = golden.map("str_keys");
  EXPECT_EQ(to_floats(*find_value(map, "array"), ""), (std::vector<float>{1, 2}));
  EXPECT_EQ(to_number(*find_value(map, "scalar"), ""), 1.5);
}

TEST(DecodeTest, WhatIsNoMessageIsRefused) {
  expect_refused("", {"it is empty"});
  expect_refused("\xc1", {"no msgpack at byte 0"});
  expect_refused(std::string("\x01\x02", 2), {"1 bytes follow"});
  expect_refused("\xc7\x01\x05\x01", {"an extension type"});
  expect_refused(packed([](auto& packer) { packer.pack_map(1).pack(7).pack(1); }),
                 {"7 is a key, expected a text"});
  expect_refused(packed([](auto& packer) { packer.pack_map(1).pack_array(0).pack(1); }),
                 {"a list or a map is a key"});
}

TEST(DecodeTest, WhatIsNoArrayIsRefused) {
  EXPECT_EQ(to_floats(decode(bytes_of(array_message({}))), ""), (std::vector<float>{1, 2}));
  expect_refused(packed([](auto& packer) {
                   packer.pack_map(2).pack("__ndarray__").pack(true).pack("data").pack("");
                 }),
                 {"lacks one of data, dtype and shape"});
  // numpy's objects, complex numbers, dates, structures; what no numpy has.
  for (const char* const dtype :
       {"|O", "<c8", "<M8[ns]", "|V4", "|S2", "<f16", "<f3", "<i", "", "<", "f4f4", "<i-4", "<u0",
        "|b8", "<U-1", "<U2147483647", "<f 4"}) {
    expect_refused(array_message({.dtype = dtype}),
                   {"dtype is " + std::string(dtype) + ", expected"});
  }
  expect_refused(array_message({.shape = {3}}), {"array |u1 [3] has 2 bytes, expected 3"});
  expect_refused(array_message({.dtype = "<f4"}), {"array <f4 [2] has 2 bytes, expected 8"});
  expect_refused(array_message({.shape = {-2, -1}}), {"the shape [-2, -1], which none has"});
  expect_refused(array_message({.data = "", .shape = {0, -1}}),
                 {"the shape [0, -1], which none has"});
  const std::int64_t large = std::int64_t{1} << 62;
  expect_refused(array_message({.shape = {large, 4}}), {"which none has"});
  // Of no bytes however many, which somebody may count.
  expect_refused(array_message({.data = "", .dtype = "<U0", .shape = {large, 4}}),
                 {"which none has"});
  EXPECT_EQ(to_text(decode(bytes_of(array_message({.data = "", .dtype = "<U0", .shape = {}}))), ""),
            "");

  const auto with = [](std::string_view key, auto value) {
    return packed([&](auto& packer) {
      packer.pack_map(4).pack("__ndarray__").pack(true);
      for (const std::string_view other : {"data", "dtype", "shape"}) {
        packer.pack(std::string(other));
        if (other == key) {
          packer.pack(value);
        } else if (other == "dtype") {
          packer.pack("|u1");
        } else if (other == "shape") {
          packer.pack(std::vector<int>{2});
        } else {
          packer.pack(std::vector<char>{1, 2});  // bin
        }
      }
    });
  };
  expect_refused(with("data", "ab"), {"data is \"ab\", expected bytes"});
  expect_refused(with("dtype", 4), {"dtype: is 4, expected a text"});
  expect_refused(with("shape", 2), {"shape is 2, expected a list"});
  expect_refused(with("shape", std::vector<double>{2.5}),
                 {"shape has 2.5 in it, expected integers"});
  expect_refused(with("shape", std::vector<std::uint64_t>{~std::uint64_t{0}}),
                 {"18446744073709551615 in it"});
  expect_refused(packed([](auto& packer) { packer.pack_map(1).pack("__npgeneric__").pack(true); }),
                 {"a scalar lacks data"});
  expect_refused(packed([](auto& packer) {
                   packer.pack_map(2).pack("__npgeneric__").pack(true);
                   packer.pack("data").pack_array(0);
                 }),
                 {"a scalar's data is a list of 0"});
}

TEST(DecodeTest, ManyValuesAndDeepOnesAreRefused) {
  const auto list_of = [](std::size_t values) {
    return packed([values](auto& packer) {
      packer.pack_array(static_cast<std::uint32_t>(values));
      for (std::size_t i = 0; i < values; ++i) packer.pack_nil();
    });
  };
  EXPECT_NO_THROW(decode(bytes_of(list_of(kMostValues - 1))));
  expect_refused(list_of(kMostValues), {"more than 65536 values"});
  // Each is counted, wherever it is.
  expect_refused(packed([](auto& packer) {
                   packer.pack_array(2);
                   for (int half = 0; half < 2; ++half) {
                     packer.pack_array(kMostValues / 2);
                     for (std::size_t i = 0; i < kMostValues / 2; ++i) packer.pack_nil();
                   }
                 }),
                 {"more than 65536 values"});
  const auto nested = [](std::size_t depth) {
    std::string bytes(depth + 1, '\x91');
    bytes.back() = '\x90';
    return bytes;
  };
  EXPECT_NO_THROW(decode(bytes_of(nested(kDeepest - 1))));
  expect_refused(nested(kDeepest), {"more than 16 deep"});
  expect_refused(nested(10'000'000), {"more than 16 deep"});
  // What only says that it is long takes no memory.
  expect_refused("\xdd\xff\xff\xff\xff", {"ends at byte 5 amid a value"});
  expect_refused("\xdf\xff\xff\xff\xff", {"ends at byte 5 amid a value"});
  expect_refused("\xc6\xff\xff\xff\xff", {"amid a value"});
}

TEST(DecodeTest, HalfAMessageIsRefusedWhereverItEnds) {
  const GoldenMessages golden("requests.safetensors");
  for (const char* const name : {"aloha.request", "droid_positions.request"}) {
    const std::span<const std::byte> message = golden.bytes(name);
    EXPECT_NO_THROW(decode(message));
    for (std::size_t size = 0; size < message.size(); ++size) {
      SCOPED_TRACE(size);
      expect_error(ErrorCode::kInvalidInput, {"message: it"}, [&] { decode(message.first(size)); });
    }
  }
}

}  // namespace
}  // namespace pi0
