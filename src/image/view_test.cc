// Images in other forms than ours: the network is given the same.
#include "image/view.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/test_support.h"
#include "image/resize.h"

namespace pi0 {
namespace {

// All 8-bit values, without order.
Image colourful(int height, int width) {
  Image image = {height, width, {}};
  for (int i = 0; i < height * width * 3; ++i) {
    image.rgb.push_back(static_cast<std::uint8_t>(i * 89 + i / 256));
  }
  return image;
}

struct Gaps {
  std::size_t row = 0;    // bytes
  std::size_t plane = 0;  // bytes, with those of the last row
};

// A view with the memory that it looks at.
struct Form {
  std::vector<std::byte> bytes;
  ImageView view;
};

void append(std::vector<std::byte>& bytes, std::uint8_t pixel, PixelType type) {
  const float unit = static_cast<float>(pixel) / 255.0f;
  const float number = type == PixelType::kFloatUnit ? unit : unit * 2 - 1;
  const void* const value = type == PixelType::kUint8 ? static_cast<const void*>(&pixel)
                                                      : static_cast<const void*>(&number);
  const std::size_t size = type == PixelType::kUint8 ? 1 : sizeof number;
  bytes.insert(bytes.end(), size, std::byte{});
  std::memcpy(bytes.data() + bytes.size() - size, value, size);
}

// The same pixels; in the gaps are bytes that make a float NaN.
Form form_of(const Image& image, PixelLayout layout, PixelType type, const Gaps& gaps = {}) {
  Form form;
  const bool planar = layout == PixelLayout::kChw;
  const std::size_t value = type == PixelType::kUint8 ? 1 : sizeof(float);
  const std::size_t row = value * image.width * (planar ? 1 : 3);
  for (int plane = 0; plane < (planar ? 3 : 1); ++plane) {
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        const std::uint8_t* const pixel = &image.rgb[(std::size_t{1} * y * image.width + x) * 3];
        for (int c = 0; c < 3; ++c) {
          if (!planar || c == plane) append(form.bytes, pixel[c], type);
        }
      }
      form.bytes.insert(form.bytes.end(), gaps.row, std::byte{0xff});
    }
    form.bytes.insert(form.bytes.end(), gaps.plane, std::byte{0xff});
  }
  form.view = {.data = form.bytes.data(),
               .height = image.height,
               .width = image.width,
               .layout = layout,
               .type = type,
               .row_stride = gaps.row == 0 ? 0 : row + gaps.row};
  if (gaps.plane != 0) form.view.plane_stride = (row + gaps.row) * image.height + gaps.plane;
  return form;
}

const PixelLayout kLayouts[] = {PixelLayout::kHwc, PixelLayout::kChw};
const PixelType kTypes[] = {PixelType::kUint8, PixelType::kFloatUnit, PixelType::kFloatSigned};

// Expects of `form` what `image` gives, in both methods, resized or not, normalised or not.
void expect_same_input(const Image& image, const Form& form) {
  const PixelNormalisation halves = [](int channel, float unit) {
    return (unit - 0.1f * static_cast<float>(channel)) / 0.9f;
  };
  for (const ResizeMethod method : {ResizeMethod::kOpenpi, ResizeMethod::kLerobot}) {
    // (number + 1) / 2 of a number that was rounded is not always the unit that it was made of.
    const bool exact = form.view.type != PixelType::kFloatSigned || method == ResizeMethod::kOpenpi;
    const float tolerance = exact ? 0.0f : 1e-6f;
    for (const PixelNormalisation& normalise : {PixelNormalisation(), halves}) {
      const std::vector<float> expected =
          to_network_input(view_of(image), "image", 16, method, normalise);
      const std::vector<float> found = to_network_input(form.view, "view", 16, method, normalise);
      ASSERT_EQ(found.size(), expected.size());
      std::size_t different = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        different += std::abs(found[i] - expected[i]) <= tolerance ? 0 : 1;
      }
      EXPECT_EQ(different, 0u) << static_cast<int>(method);
    }
  }
}

TEST(View, EveryFormOfAnImageGivesTheSame) {
  for (const auto& [height, width] : {std::pair{23, 37}, {16, 16}, {5, 7}}) {
    const Image image = colourful(height, width);
    for (const PixelLayout layout : kLayouts) {
      for (const PixelType type : kTypes) {
        SCOPED_TRACE(testing::Message()
                     << height << " x " << width << ", layout " << static_cast<int>(layout)
                     << ", type " << static_cast<int>(type));
        expect_same_input(image, form_of(image, layout, type));
        expect_same_input(image, form_of(image, layout, type, {.row = 5}));
        if (layout == PixelLayout::kHwc) continue;
        expect_same_input(image, form_of(image, layout, type, {.plane = 8}));
        expect_same_input(image, form_of(image, layout, type, {.row = 5, .plane = 3}));
      }
    }
  }
}

// 0.1 lies between two 8-bit values, 25 and 26, a little nearer to the second.
TEST(View, FloatsAreRoundedForOpenpiAlone) {
  const std::vector<float> tenths(12, 0.1f);
  const ImageView view = {
      .data = tenths.data(), .height = 2, .width = 2, .type = PixelType::kFloatUnit};
  EXPECT_FLOAT_EQ(to_network_input(view, "view", 2, ResizeMethod::kOpenpi)[7],
                  26.0f / 255.0f * 2 - 1);
  EXPECT_EQ(to_network_input(view, "view", 2, ResizeMethod::kLerobot)[7], 0.1f * 2 - 1);
}

TEST(View, WhatCannotBeReadIsRefused) {
  const Image image = colourful(4, 6);
  const auto expect = [&](PixelLayout layout, PixelType type, const std::vector<std::string>& words,
                          auto&& change) {
    ImageView view;
    const Form form = form_of(image, layout, type);
    view = form.view;
    change(view);
    for (const ResizeMethod method : {ResizeMethod::kOpenpi, ResizeMethod::kLerobot}) {
      expect_error(ErrorCode::kInvalidInput, words,
                   [&] { to_network_input(view, "front", 4, method); });
    }
  };
  const auto hwc = PixelLayout::kHwc;
  const auto chw = PixelLayout::kChw;
  expect(hwc, PixelType::kUint8, {"front: ", "6 x 4", "null pointer"},
         [](ImageView& v) { v.data = nullptr; });
  expect(hwc, PixelType::kUint8, {"front: ", "6 x 0", "positive"},
         [](ImageView& v) { v.height = 0; });
  expect(chw, PixelType::kFloatUnit, {"front: ", "-6 x 4", "positive"},
         [](ImageView& v) { v.width = -6; });
  expect(hwc, PixelType::kUint8, {"front: ", "row_stride is 17", "at least 18"},
         [](ImageView& v) { v.row_stride = 17; });
  expect(chw, PixelType::kUint8, {"row_stride is 5", "at least 6"},
         [](ImageView& v) { v.row_stride = 5; });
  // Strides that were counted in values.
  expect(hwc, PixelType::kFloatSigned, {"row_stride is 18", "at least 72"},
         [](ImageView& v) { v.row_stride = 18; });
  expect(chw, PixelType::kFloatUnit, {"front: ", "plane_stride is 24", "at least 96"},
         [](ImageView& v) { v.plane_stride = 24; });
  expect(chw, PixelType::kUint8, {"plane_stride is 24", "at least 30"}, [](ImageView& v) {
    v.row_stride = 8;
    v.plane_stride = 24;
  });
  expect(hwc, PixelType::kUint8, {"plane_stride is 24", "no planes"},
         [](ImageView& v) { v.plane_stride = 24; });
  const std::vector<std::byte> line(900);
  expect(hwc, PixelType::kUint8, {"front: ", "300 x 1", "too narrow"},
         [&](ImageView& v) { v = {.data = line.data(), .height = 1, .width = 300}; });
}

TEST(View, FloatsThatAreNoPixelsAreRefused) {
  const auto expect = [](PixelType type, std::vector<float> numbers,
                         const std::vector<std::string>& words, const std::string& without = "\n") {
    for (const ResizeMethod method : {ResizeMethod::kOpenpi, ResizeMethod::kLerobot}) {
      for (const PixelLayout layout : kLayouts) {
        std::string sentence = "none";
        try {
          to_network_input(
              {.data = numbers.data(), .height = 2, .width = 2, .layout = layout, .type = type},
              "front", 2, method);
        } catch (const Error& error) {
          sentence = error.what();
        }
        for (const std::string& word : words) {
          EXPECT_NE(sentence.find(word), std::string::npos) << word << " in: " << sentence;
        }
        EXPECT_EQ(sentence.find(without), std::string::npos) << sentence;
      }
    }
  };
  const auto with = [](float number, std::size_t at) {
    std::vector<float> numbers(12, 0.5f);
    numbers[at] = number;
    return numbers;
  };
  const std::string eight_bits = "0 to 255";
  expect(PixelType::kFloatUnit, with(254, 3),
         {"front: values from 0.5 to 254", "from 0 to 1", eight_bits});
  expect(PixelType::kFloatSigned, with(254, 11), {"values from 0.5 to 254", "-1 to 1", eight_bits});
  expect(PixelType::kFloatUnit, with(-0.75f, 5), {"values from -0.75 to 0.5", "0 to 1"},
         eight_bits);
  expect(PixelType::kFloatUnit, with(NAN, 11), {"front: ", "nan in row 1, column 1"}, eight_bits);
  expect(PixelType::kFloatSigned, with(INFINITY, 0), {"inf in row 0, column 0", "-1 to 1"});
  expect(PixelType::kFloatUnit, with(1.002f, 0), {"values from", "1.002"});
  // What rounding does is taken.
  expect(PixelType::kFloatUnit, with(1.0005f, 0), {"none"});
  expect(PixelType::kFloatUnit, with(-0.0005f, 0), {"none"});
  expect(PixelType::kFloatSigned, with(-1.0005f, 0), {"none"});
}

TEST(View, AnImageWhoseSidesDoNotFitItsBytesIsRefused) {
  const std::vector<std::uint8_t> twelve(12);
  for (const Image& image :
       {Image{0, 0, {}}, Image{2, 0, {}}, Image{-2, -2, twelve}, Image{2, 3, twelve},
        Image{2, 1, twelve}, Image{2, 2, std::vector<std::uint8_t>(13)},
        Image{1 << 30, 1 << 30, twelve}}) {
    expect_error(ErrorCode::kInvalidInput,
                 {"front: an image of " + std::to_string(image.width) + " x ",
                  std::to_string(image.rgb.size()) + " bytes"},
                 [&] { view_of(image, "front"); });
  }
}

TEST(View, PixelsAreComparedWithoutTheirGaps) {
  const Image image = colourful(5, 7);
  for (const PixelLayout layout : kLayouts) {
    const Form dense = form_of(image, layout, PixelType::kUint8);
    EXPECT_EQ(dense_bytes(dense.view), dense.bytes);
    Form strided = form_of(image, layout, PixelType::kUint8, {.row = 3});
    EXPECT_EQ(dense_bytes(strided.view), dense.bytes);
    EXPECT_TRUE(same_pixels(dense.view, strided.view));
    strided.bytes[strided.bytes.size() - 4] ^= std::byte{1};  // the last pixel
    EXPECT_FALSE(same_pixels(dense.view, strided.view));
  }
  // Of as many bytes.
  EXPECT_FALSE(same_pixels({.data = image.rgb.data(), .height = 5, .width = 7},
                           {.data = image.rgb.data(), .height = 7, .width = 5}));
  EXPECT_FALSE(same_pixels(
      {.data = image.rgb.data(), .height = 5, .width = 7},
      {.data = image.rgb.data(), .height = 5, .width = 7, .layout = PixelLayout::kChw}));
}

}  // namespace
}  // namespace pi0
