// Messages as observations, and observations as messages.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "files/file.h"
#include "image/view.h"
#include "robots/robots_testing.h"

namespace pi0 {
namespace {

constexpr int kHeight = 4;
constexpr int kWidth = 5;

std::vector<std::uint8_t> some_pixels() {
  std::vector<std::uint8_t> rgb(std::size_t{3} * kHeight * kWidth);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(7 * i);
  return rgb;
}
const Image kImage = {kHeight, kWidth, some_pixels()};

// The planes of `kImage`.
std::vector<std::uint8_t> planes() {
  std::vector<std::uint8_t> result;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t i = channel; i < kImage.rgb.size(); i += 3) result.push_back(kImage.rgb[i]);
  }
  return result;
}

// An array as numpy packs it, its keys texts.
template <typename T>
void encode_array(Encoder& encoder, const std::string& dtype, const std::vector<int>& shape,
                  const std::vector<T>& values, bool swap = false) {
  std::string bytes(values.size() * sizeof(T), 0);
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  for (std::size_t at = 0; swap && at < bytes.size(); at += sizeof(T)) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + sizeof(T)));
  }
  encoder.map(4).text("__ndarray__").boolean(true).text("dtype").text(dtype);
  encoder.text("data").bytes(std::as_bytes(std::span(bytes)));
  encoder.text("shape").list(shape.size());
  for (const int extent : shape) encoder.integer(extent);
}
template <typename T>
std::vector<T> converted_to(const std::vector<std::uint8_t>& pixels, T scale = 1) {
  std::vector<T> values;
  for (const std::uint8_t pixel : pixels) values.push_back(static_cast<T>(pixel) / scale);
  return values;
}

const Robot kOne = {
    .name = "one", .cameras = {{"image", "top", true}}, .state = {"state"}, .prompt = "task"};

// A message for kOne, whose image is what `write` writes.
Message message_with(const std::function<void(Encoder&)>& write) {
  return Message([&write](Encoder& encoder) {
    encoder.map(3).text("task").text("go").text("state").number(1.5).text("image");
    write(encoder);
  });
}

Image image_in(const RobotObservation& found) {
  const auto view = found.observation.views.find("top");
  if (view != found.observation.views.end()) return to_8bit(view->second);
  return found.observation.images.at("top");
}

bool lies_in(const void* data, const std::vector<std::byte>& bytes) {
  const auto* const at = static_cast<const std::byte*>(data);
  return at >= bytes.data() && at < bytes.data() + bytes.size();
}

void expect_image_refused(const std::vector<std::string>& words,
                          const std::function<void(Encoder&)>& write,
                          ImageRule rule = ImageRule::kOpenpi) {
  SCOPED_TRACE(words.front());
  Robot robot = kOne;
  robot.images = rule;
  const Message message = message_with(write);
  expect_error(ErrorCode::kInvalidInput, words, [&] { to_observation(robot, message.map(), {}); });
}

// Pixels are not copied, whichever layout they have, at whichever address they lie.
TEST(ToObservationTest, BytesAreUsedWhereTheyLie) {
  for (const std::vector<int>& shape : {std::vector{kHeight, kWidth, 3},
                                        {1, kHeight, kWidth, 3},
                                        {3, kHeight, kWidth},
                                        {1, 3, kHeight, kWidth}}) {
    const bool planar = shape.back() != 3;
    const Message message = message_with([&](Encoder& encoder) {
      encode_array(encoder, "|u1", shape, planar ? planes() : kImage.rgb);
    });
    for (const ImageRule rule : {ImageRule::kOpenpi, ImageRule::kLerobot}) {
      Robot robot = kOne;
      robot.images = rule;
      const RobotObservation found = to_observation(robot, message.map(), {});
      ASSERT_EQ(found.observation.views.size(), 1u);
      EXPECT_TRUE(found.observation.images.empty());
      EXPECT_TRUE(lies_in(found.observation.views.at("top").data, message.bytes));
      EXPECT_EQ(image_in(found), kImage);
    }
  }
}

// As einops has it there: [3, width, 3] has its channels first.
TEST(ToObservationTest, ThreeAtFirstAreChannels) {
  const Message message = message_with([](Encoder& encoder) {
    encode_array(encoder, "|u1", {3, 2, 3}, std::vector<std::uint8_t>(18));
  });
  const ImageView view = to_observation(kOne, message.map(), {}).observation.views.at("top");
  EXPECT_EQ(view.layout, PixelLayout::kChw);
  EXPECT_EQ(view.height, 2);
  EXPECT_EQ(view.width, 3);
}

// openpi_test.cc has openpi's rule.
TEST(ToObservationTest, LerobotsFloatsStayFloats) {
  const auto floats = converted_to<float>(kImage.rgb, 255);
  const auto doubles = converted_to<double>(planes(), 255);
  const std::vector<std::uint16_t> halves(kImage.rgb.size(), 0x3555);  // 0.333251953125
  struct Case {
    const char* what;
    std::function<void(Encoder&)> write;
    bool in_place = false;
  };
  const std::vector<int> hwc = {kHeight, kWidth, 3};
  const std::vector<int> chw = {3, kHeight, kWidth};
  for (const Case& one :
       std::vector<Case>{{"<f4", [&](Encoder& e) { encode_array(e, "<f4", hwc, floats); }, true},
                         {">f4", [&](Encoder& e) { encode_array(e, ">f4", hwc, floats, true); }},
                         {"<f8", [&](Encoder& e) { encode_array(e, "<f8", chw, doubles); }},
                         {">f8", [&](Encoder& e) { encode_array(e, ">f8", chw, doubles, true); }},
                         {"<f2", [&](Encoder& e) { encode_array(e, "<f2", hwc, halves); }}}) {
    SCOPED_TRACE(one.what);
    const Message message = message_with(one.write);
    const RobotObservation found = to_observation(kOne, message.map(), {});
    const ImageView& view = found.observation.views.at("top");
    EXPECT_EQ(view.type, PixelType::kFloatUnit);
    EXPECT_EQ(lies_in(view.data, message.bytes), one.in_place);
    with_pixels(view, [&](auto pixel) {
      for (int row = 0; row < kHeight; ++row) {
        for (int column = 0; column < kWidth; ++column) {
          for (int channel = 0; channel < 3; ++channel) {
            const auto at = static_cast<std::size_t>((row * kWidth + column) * 3 + channel);
            const float expected = one.what[2] == '2' ? 0.333251953125f : floats[at];
            EXPECT_EQ(static_cast<float>(pixel(row, column, channel)), expected);
          }
        }
      }
    });
  }
}

TEST(ToObservationTest, IntegersArePixelsWhereTheyFit) {
  const std::vector<int> hwc = {kHeight, kWidth, 3};
  const std::vector<int> chw = {3, kHeight, kWidth};
  for (const std::function<void(Encoder&)>& write : std::vector<std::function<void(Encoder&)>>{
           [&](Encoder& e) { encode_array(e, "<i8", hwc, converted_to<std::int64_t>(kImage.rgb)); },
           [&](Encoder& e) {
             encode_array(e, ">u2", chw, converted_to<std::uint16_t>(planes()), true);
           }}) {
    for (const ImageRule rule : {ImageRule::kOpenpi, ImageRule::kLerobot}) {
      Robot robot = kOne;
      robot.images = rule;
      const Message message = message_with(write);
      EXPECT_EQ(image_in(to_observation(robot, message.map(), {})), kImage);
    }
  }
  std::vector<std::int32_t> wide(kImage.rgb.size(), 255);
  wide.back() = 256;
  const auto write = [&](Encoder& encoder) { encode_array(encoder, "<i4", hwc, wide); };
  for (const ImageRule rule : {ImageRule::kOpenpi, ImageRule::kLerobot}) {
    expect_image_refused({"image: a pixel is 256, expected integers from 0 to 255"}, write, rule);
  }
  wide.back() = -1;
  expect_image_refused({"a pixel is -1"}, write);
}

TEST(ToObservationTest, FloatsThatAreNoPixelsAreRefused) {
  const std::vector<int> hwc = {kHeight, kWidth, 3};
  const auto refused = [&](double value, const std::string& found) {
    std::vector<double> doubles(kImage.rgb.size(), 0.5);
    doubles.back() = value;
    expect_image_refused({"image: a pixel is " + found + ", expected floats from 0 to 1"},
                         [&](Encoder& e) { encode_array(e, "<f8", hwc, doubles); });
  };
  refused(254, "254");
  refused(-0.01, "-0.01");
  refused(std::nan(""), "nan");
  refused(std::numeric_limits<double>::infinity(), "inf");
  const std::vector<std::uint16_t> halves(kImage.rgb.size(), 0x7e00);
  expect_image_refused({"a pixel is nan"},
                       [&](Encoder& e) { encode_array(e, "<f2", hwc, halves); });
}

TEST(ToObservationTest, FilesAreDecoded) {
  const std::filesystem::path files = std::filesystem::path(PI0_SOURCE_DIR) / "testdata";
  const std::string jpeg = read_file(files / "cmyk/ycck.jpg");
  const Image expected = load_image(files / "cmyk/ycck.jpg");
  const auto bytes = std::as_bytes(std::span(jpeg));
  const Message plain = message_with([&](Encoder& encoder) { encoder.bytes(bytes); });
  EXPECT_EQ(image_in(to_observation(kOne, plain.map(), {})), expected);
  const Message of_numpy = message_with([&](Encoder& encoder) {
    encode_array(encoder, "|u1", {static_cast<int>(jpeg.size())},
                 std::vector<std::uint8_t>(jpeg.begin(), jpeg.end()));
  });
  EXPECT_EQ(image_in(to_observation(kOne, of_numpy.map(), {})), expected);
  expect_image_refused({"image", "PNG", "JPEG"},
                       [&](Encoder& encoder) { encoder.bytes(bytes.subspan(1)); });
}

// From their headers: what is cut short after that is not found out.
TEST(ToObservationTest, FilesOfTooManyPixelsAreNotDecoded) {
  const std::filesystem::path folder = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/cmyk";
  const std::string jpeg = read_file(folder / "ycck.jpg");
  const Image image = load_image(folder / "ycck.jpg");
  const auto bytes = std::as_bytes(std::span(jpeg));
  const std::int64_t pixels = std::int64_t{image.width} * image.height;
  const Message whole = message_with([&](Encoder& encoder) { encoder.bytes(bytes); });
  const Message half =
      message_with([&](Encoder& encoder) { encoder.bytes(bytes.first(bytes.size() - 100)); });
  FilePixels files = {.most = 2 * pixels - 1};
  to_observation(kOne, whole.map(), {}, files);
  EXPECT_EQ(files.so_far, pixels);
  expect_error(
      ErrorCode::kInvalidInput,
      {fmt::format("image: has {} x {} pixels after {} of other files, expected at most {}",
                   image.width, image.height, pixels, 2 * pixels - 1)},
      [&] { to_observation(kOne, half.map(), {}, files); });
  ++files.most;
  expect_error(ErrorCode::kInvalidInput, {"truncated JPEG"},
               [&] { to_observation(kOne, half.map(), {}, files); });
}

TEST(ToObservationTest, WhatIsNoImageIsRefused) {
  expect_image_refused({"image: is 7, expected an image"}, [](Encoder& e) { e.integer(7); });
  expect_image_refused({"image: is \"top.png\""}, [](Encoder& e) { e.text("top.png"); });
  expect_image_refused({"image: is a list of 0"}, [](Encoder& e) { e.list(0); });
  expect_image_refused({"image: is an array |b1 [1, 1, 3]"}, [](Encoder& e) {
    encode_array(e, "|b1", {1, 1, 3}, std::vector<std::uint8_t>(3));
  });
  expect_image_refused({"image: is an array <U1 [1, 1, 3]"}, [](Encoder& e) {
    encode_array(e, "<U1", {1, 1, 3}, std::vector<std::uint32_t>(3, 'a'));
  });
  for (const std::vector<int>& shape : {std::vector{4, 6},
                                        {4, 6, 1},
                                        {4, 6, 4},
                                        {1, 4, 6},
                                        {2, 4, 6, 3},
                                        {1, 1, 4, 6, 3},
                                        {0, 6, 3},
                                        {3, 0, 6}}) {
    std::size_t size = 1;
    for (const int extent : shape) size *= static_cast<std::size_t>(extent);
    expect_image_refused({"image: has the shape [", "expected [height, width, 3] or [3,"},
                         [&](Encoder& encoder) {
                           encode_array(encoder, "|u1", shape, std::vector<std::uint8_t>(size));
                         });
  }
}

// Wherever they are divided.
TEST(ToObservationTest, KeysMayBePathsOfMaps) {
  const Robot robot = {.cameras = {{"a/b/top", "top"}, {"a/b/wrist", "wrist"}},
                       .state = {"observation/arm/joints", "observation/gripper"}};
  const auto put_image = [](Encoder& e) { e.pixels(kHeight, kWidth, kImage.rgb); };
  const std::vector<float> joints = {1, 2};
  const Message message([&](Encoder& encoder) {
    encoder.map(5).text("a/b").map(1).text("top");
    put_image(encoder);
    encoder.text("a").map(1).text("b/wrist");
    put_image(encoder);
    encoder.text("observation/arm").map(1).text("joints").array({1, 2}, joints);
    encoder.text("observation/gripper").number(3);
    encoder.text("prompt").nil();  // as if it were absent
  });
  const RobotObservation found = to_observation(robot, message.map(), "go");
  EXPECT_EQ(found.observation.views.size(), 2u);
  EXPECT_EQ(found.observation.state, (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(found.observation.prompt, "go");
}

TEST(ToObservationTest, WhatIsAbsentIsNamed) {
  const Robot aloha = find_robot("aloha", openpi_policy());
  struct Given {
    std::vector<std::string> images = {"cam_high"};
    bool state = true;
    bool prompt = true;
  };
  const auto message = [](const Given& given) {
    return Message([&given](Encoder& encoder) {
      encoder.map(1 + (given.state ? 1 : 0) + (given.prompt ? 1 : 0));
      if (given.state) encoder.text("state").list(1).number(1);
      if (given.prompt) encoder.text("prompt").text("go");
      encoder.text("images").map(given.images.size());
      for (const std::string& camera : given.images) {
        encoder.text(camera).pixels(kHeight, kWidth, kImage.rgb);
      }
    });
  };
  const auto refused = [&](const Given& given, const std::string& words) {
    const Message bad = message(given);
    expect_error(ErrorCode::kInvalidInput, {words}, [&] { to_observation(aloha, bad.map(), {}); });
  };
  // cam_low is openpi's to take and not to use.
  const Message good = message({.images = {"cam_high", "cam_low", "cam_right_wrist"}});
  const Observation observation = to_observation(aloha, good.map(), "other").observation;
  EXPECT_EQ(observation.views.size(), 2u);
  EXPECT_TRUE(observation.views.contains("base_0_rgb"));
  EXPECT_TRUE(observation.views.contains("right_wrist_0_rgb"));
  EXPECT_EQ(observation.prompt, "go");
  refused({.images = {"cam_left_wrist"}}, "images/cam_high: is absent, expected an image");
  refused({.images = {"cam_high", "cam_left"}},
          "images/cam_left: no such camera, expected images/cam_high, images/cam_left_wrist");
  refused({.state = false}, "state: is absent, expected the robot's state");
  refused({.prompt = false}, "prompt: is absent, expected the instruction");
  Robot optional = kOne;
  optional.cameras[0].required = false;
  const Message none([](Encoder& encoder) { encoder.map(0); });
  expect_error(ErrorCode::kInvalidInput, {"observation: no image, expected at least one of image"},
               [&] { to_observation(optional, none.map(), {}); });
}

// In a map that holds more than images, what is not known is not asked for.
TEST(ToObservationTest, UnknownKeysElsewhereAreLeft) {
  const Robot libero = find_robot("libero", openpi_policy());
  const Message message([](Encoder& encoder) {
    encoder.map(4).text("prompt").text("go").text("observation/state").list(0);
    encoder.text("observation/third_image").nil();
    encoder.text("observation").map(2);
    for (const char* const name : {"image", "wrist_image"}) {
      encoder.text(name).pixels(kHeight, kWidth, kImage.rgb);
    }
  });
  EXPECT_EQ(to_observation(libero, message.map(), {}).observation.views.size(), 2u);
  const Message flat([](Encoder& encoder) { encoder.map(1).text("images/front").nil(); });
  expect_error(ErrorCode::kInvalidInput, {"images/front: no such camera"},
               [&] { to_observation(find_robot("aloha", openpi_policy()), flat.map(), {}); });
}

TEST(ToObservationTest, StatesThatAreNoVectorAreRefused) {
  const auto refused = [](const std::vector<std::string>& words, auto write) {
    const Message message([&write](Encoder& encoder) {
      encoder.map(3).text("image").pixels(kHeight, kWidth, kImage.rgb);
      encoder.text("task").text("go").text("state");
      write(encoder);
    });
    expect_error(ErrorCode::kInvalidInput, words, [&] { to_observation(kOne, message.map(), {}); });
  };
  const std::vector<float> values(8192);
  refused({"state: has the shape [2, 4], expected [values]"}, [&](Encoder& e) {
    e.array({2, 4}, std::span(values).first(8));
  });
  refused({"state: has the shape [8192]", "at most 4096"},
          [&](Encoder& e) { e.array({8192}, values); });
  refused({"state: is \"x\", expected numbers"}, [](Encoder& e) { e.text("x"); });
}

// A camera that has two keys is given one image, under either.
TEST(ToObservationTest, ACameraHasOneImage) {
  const Robot robot = {
      .name = "two", .cameras = {{"front", "top"}, {"top", "top"}}, .state = {}, .prompt = "task"};
  const auto message_of = [](const std::vector<std::string>& keys) {
    return Message([&](Encoder& encoder) {
      encoder.map(keys.size() + 1).text("task").text("go");
      for (const std::string& key : keys) encoder.text(key).pixels(kHeight, kWidth, kImage.rgb);
    });
  };
  for (const char* const key : {"front", "top"}) {
    const Message message = message_of({key});
    const RobotObservation found = to_observation(robot, message.map(), {});
    EXPECT_EQ(image_in(found), kImage);
    EXPECT_TRUE(found.observation.renamed);
  }
  expect_error(ErrorCode::kInvalidInput, {"top: is a second image for camera top, expected one"},
               [&] {
                 to_observation(robot, message_of({"front", "top"}).map(), {});
               });
}

// What a client writes, a server of ours reads as the same.
TEST(EncodeObservationTest, IsReadAsItWas) {
  const std::vector<float> floats = converted_to<float>(planes(), 255);
  Observation given;
  given.images["base_0_rgb"] = kImage;
  given.views["observation.images.left_wrist_0_rgb"] = {.data = floats.data(),
                                                        .height = kHeight,
                                                        .width = kWidth,
                                                        .layout = PixelLayout::kChw,
                                                        .type = PixelType::kFloatUnit};
  given.state = {1, 2, 3, 4, 5, 6, 7, 8};
  given.prompt = "öffne";
  PolicyInfo policy = openpi_policy();
  for (const char* const name : {"aloha", "libero", "droid", "none"}) {
    SCOPED_TRACE(name);
    const Robot robot = find_robot(name, policy);
    const Message message([&](Encoder& encoder) { encode_observation(robot, given, encoder); });
    const RobotObservation found = to_observation(robot, message.map(), {});
    EXPECT_EQ(found.observation.state, given.state);
    EXPECT_EQ(found.observation.prompt, given.prompt);
    ASSERT_EQ(found.observation.views.size(), 2u);
    EXPECT_EQ(to_8bit(found.observation.views.at("base_0_rgb")), kImage);
    const ImageView& wrist = found.observation.views.at("left_wrist_0_rgb");
    EXPECT_EQ(to_8bit(wrist), kImage);
    // A server would cut what a policy of this process rounds.
    EXPECT_EQ(wrist.type,
              robot.images == ImageRule::kLerobot ? PixelType::kFloatUnit : PixelType::kUint8);
  }
}

// A client has a camera by the checkpoint's name for it, or as rename_map has its robot's.
TEST(EncodeObservationTest, ACameraMayBeNamedAsItIsRenamed) {
  PolicyInfo policy = policy_with({"top", "wrist"});
  policy.rename_map = {{"observation.images.front", "observation.images.top"},
                       {"observation.images.wrist", "observation.images.hand"}};
  const Robot robot = find_robot("none", policy);
  for (const char* const name :
       {"top", "observation.images.top", "front", "observation.images.front"}) {
    SCOPED_TRACE(name);
    const Observation given{.images = {{name, kImage}}, .prompt = ""};
    const Message message([&](Encoder& encoder) { encode_observation(robot, given, encoder); });
    EXPECT_EQ(image_in(to_observation(robot, message.map(), {})), kImage);
  }
}

// A rename_map that swaps two: a name that is given directly is the robot's.
TEST(EncodeObservationTest, CamerasThatAreSwapped) {
  PolicyInfo policy = policy_with({"top", "wrist"});
  policy.rename_map = {{"observation.images.top", "observation.images.wrist"},
                       {"observation.images.wrist", "observation.images.top"}};
  const Robot robot = find_robot("none", policy);
  for (const bool renamed : {false, true}) {
    const Observation given{.images = {{"top", kImage}}, .prompt = "", .renamed = renamed};
    const Message message([&](Encoder& encoder) { encode_observation(robot, given, encoder); });
    const RobotObservation seen = to_observation(robot, message.map(), {});
    EXPECT_TRUE(seen.observation.views.contains(renamed ? "top" : "wrist")) << renamed;
  }
}

TEST(ToObservationTest, AStateThatIsRenamedMayHaveItsOwnName) {
  PolicyInfo policy = policy_with({"top"});
  policy.rename_map = {{"observation.joints", "observation.state"}};
  const Robot robot = find_robot("none", policy);
  for (const char* const key : {"observation.joints", "observation.state"}) {
    const Message message([&](Encoder& encoder) {
      encoder.map(3).text("task").text("");
      encoder.text("observation.images.top").pixels(kHeight, kWidth, kImage.rgb);
      encoder.text(key).array({2}, std::vector<float>{1, 2});
    });
    EXPECT_EQ(to_observation(robot, message.map(), {}).observation.state,
              (std::vector<float>{1, 2}));
  }
}

TEST(EncodeObservationTest, SignedFloatsGoAsTheyAreToo) {
  std::vector<float> signed_floats;
  for (const float unit : converted_to<float>(kImage.rgb, 255))
    signed_floats.push_back(2 * unit - 1);
  Observation given;
  given.views["top"] = {.data = signed_floats.data(),
                        .height = kHeight,
                        .width = kWidth,
                        .type = PixelType::kFloatSigned};
  given.prompt = "";
  const Message message([&](Encoder& encoder) { encode_observation(kOne, given, encoder); });
  EXPECT_EQ(image_in(to_observation(kOne, message.map(), {})), kImage);
}

TEST(EncodeObservationTest, WhatTheServerCannotTakeIsRefused) {
  const Robot droid = find_robot("droid", openpi_policy());
  Observation given;
  given.images["top"] = kImage;
  Encoder encoder;
  const auto refused = [&](const std::vector<std::string>& words) {
    expect_error(ErrorCode::kInvalidInput, words,
                 [&] { encode_observation(droid, given, encoder); });
  };
  refused({"image for camera top: ", "no such camera, but base_0_rgb, left_wrist_0_rgb"});
  given.images = {{"base_0_rgb", {kHeight, kWidth + 1, kImage.rgb}}};
  refused({"image for camera base_0_rgb: "});
  const std::vector<float> wrong(kImage.rgb.size(), 255);
  given.images.clear();
  given.views["base_0_rgb"] = {
      .data = wrong.data(), .height = kHeight, .width = kWidth, .type = PixelType::kFloatUnit};
  refused({"image for camera base_0_rgb: ", "expected float32 from 0 to 1"});
  given.views["base_0_rgb"].data = nullptr;
  refused({"null pointer"});
}

}  // namespace
}  // namespace pi0
