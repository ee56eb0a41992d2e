#include "wire/encode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "wire/wire_testing.h"

namespace pi0 {
namespace {

const std::vector<float> kActions = {0, 0.25f, 0.5f, 0.75f, 1, 1.25f};
const std::vector<std::string> kTexts = {"a", "öööööööööööööööööööö", std::string(300, 'b')};
const std::vector<std::byte> kBytes = {std::byte{0}, std::byte{1}};
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

std::vector<std::byte> written() {
  std::vector<std::uint8_t> rgb(12);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i);
  Encoder inner;
  inner.map(2).text("infer_ms").number(12.5).text("prev_total_ms").number(13);
  Encoder encoder;
  encoder.map(10);
  encoder.text("actions").array({3, 2}, kActions);
  encoder.text("image").pixels(2, 2, rgb);
  encoder.text("policy_timing").encoded(inner.take());
  encoder.text("texts").texts(kTexts);
  encoder.text("integers").list(8);
  for (const std::int64_t value : {0, 127, 128, -1, -33, 70000}) encoder.integer(value);
  encoder.integer(kLeast).unsigned_integer(~std::uint64_t{0});
  encoder.text("none").nil().text("true").boolean(true).text("false").boolean(false);
  encoder.text("bytes").bytes(kBytes);
  encoder.text("map").map(0);
  EXPECT_EQ(encoder.size(), encoder.take().size());
  return encoder.take();
}

// So openpi's client, whose unpackb undoes its packb, reads it.
TEST(EncodeTest, WritesThePythonsBytes) {
  const GoldenMessages golden;
  const std::span<const std::byte> expected = golden.bytes("written");
  const std::vector<std::byte> found = written();
  const auto difference =
      std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  EXPECT_TRUE(difference.first == found.end() && difference.second == expected.end())
      << "at byte " << difference.first - found.begin();
}

TEST(EncodeTest, IsDecodedAsItWas) {
  const std::vector<std::byte> message = written();
  const Value value = decode(message);
  const ValueMap& map = to_map(value, "");
  EXPECT_EQ(to_floats(*find_value(map, "actions"), ""), kActions);
  EXPECT_EQ(find_value(map, "actions")->as<NumpyArray>()->shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(find_value(map, "image")->as<NumpyArray>()->shape,
            (std::vector<std::int64_t>{2, 2, 3}));
  EXPECT_EQ(to_floats(*find_value(map, "image"), "")[11], 11);
  const ValueList& texts = *find_value(map, "texts")->as<ValueList>();
  ASSERT_EQ(texts.size(), kTexts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(to_text(texts[i], ""), kTexts[i]);
  const ValueList& integers = *find_value(map, "integers")->as<ValueList>();
  EXPECT_EQ(*integers[6].as<std::int64_t>(), kLeast);
  EXPECT_EQ(*integers[7].as<std::uint64_t>(), ~std::uint64_t{0});
  EXPECT_TRUE(find_value(map, "none")->as<std::monostate>());
  EXPECT_TRUE(to_bool(*find_value(map, "true"), ""));
  EXPECT_FALSE(to_bool(*find_value(map, "false"), ""));
  const ValueBytes& bytes = *find_value(map, "bytes")->as<ValueBytes>();
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), kBytes.begin(), kBytes.end()));
  EXPECT_TRUE(to_map(*find_value(map, "map"), "").empty());
}

}  // namespace
}  // namespace pi0
