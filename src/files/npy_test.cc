#include "files/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/test_support.h"
#include "files/file.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

using namespace std::literals;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Written by NumPy itself, see testdata/npy/make.py.
std::filesystem::path numpy_file(const std::string& name) {
  return std::filesystem::path(PI0_SOURCE_DIR) / "testdata/npy" / (name + ".npy");
}

NpyArray read(const std::string& name) { return read_npy(numpy_file(name)); }

using Values = std::vector<float>;
using Sizes = std::vector<std::int64_t>;

// A version 1 file with `header` as it stands, then `data`.
NpyArray parse(std::string_view header, std::string_view data) {
  std::string file = "\x93NUMPY\x01";
  file += '\0';
  file += static_cast<char>(header.size() & 255);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  file += data;
  return parse_npy(std::as_bytes(std::span(file)), "noise.npy");
}

std::string error_of(std::string_view header, std::string_view data = "") {
  try {
    parse(header, data);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.what();
  }
  return "no error";
}

TEST(Npy, ReadsFloat32) {
  const NpyArray array = read("f4_2x3");
  EXPECT_EQ(array.shape, (Sizes{2, 3}));
  ASSERT_EQ(array.values.size(), 6u);
  EXPECT_EQ(Values(array.values.begin(), array.values.begin() + 5),
            (Values{1.5f, -2.25f, 0.1f, 3e38f, -1e-45f}));
  EXPECT_TRUE(std::isnan(array.values[5]));
}

TEST(Npy, ReadsBigEndian) {
  EXPECT_EQ(read("f4_big_endian").values, (Values{1.5f, -2.25f, 0.1f, 3e38f, -1e-45f, kInfinity}));
  EXPECT_EQ(read("f8_big_endian").values, (Values{0.1f, 2.5f}));
  EXPECT_EQ(read("f2_big_endian").values, (Values{1.0f, -1.5f, std::ldexp(1.0f, -24)}));
  EXPECT_EQ(read("i4_big_endian").values, (Values{-2, 1, 256}));
}

TEST(Npy, ReadsFortranOrderAsRowMajor) {
  const NpyArray array = read("f4_fortran_2x3x4");
  EXPECT_EQ(array.shape, (Sizes{2, 3, 4}));
  ASSERT_EQ(array.values.size(), 24u);
  for (int i = 0; i < 24; ++i) EXPECT_EQ(array.values[i], i);  // np.arange
}

TEST(Npy, ReadsFloat16) {
  const NpyArray array = read("f2");
  ASSERT_EQ(array.values.size(), 11u);
  EXPECT_EQ(Values(array.values.begin(), array.values.begin() + 10),
            (Values{0.0f, -0.0f, 1.0f, -1.5f, 65504.0f, std::ldexp(1.0f, -24),
                    std::ldexp(1.0f, -14), 0.333251953125f, kInfinity, -kInfinity}));
  EXPECT_TRUE(std::signbit(array.values[1]));
  EXPECT_TRUE(std::isnan(array.values[10]));
}

TEST(Npy, ReadsFloat64AndLetsTheCallerSeeWhatExceedsFloat32) {
  EXPECT_EQ(read("f8").values, (Values{0.1f, -kInfinity, 2.5f}));
}

TEST(Npy, ReadsIntegersAndBools) {
  EXPECT_EQ(read("i1").values, (Values{-128, -1, 0, 7, 127}));
  EXPECT_EQ(read("u1").values, (Values{0, 7, 255}));
  EXPECT_EQ(read("i2").values, (Values{-32768, -1, 0, 7, 32767}));
  EXPECT_EQ(read("u2").values, (Values{0, 7, 65535}));
  EXPECT_EQ(read("i4").values, (Values{-2147483648.0f, -1, 0, 7, 2147483648.0f}));
  EXPECT_EQ(read("u4").values, (Values{0, 7, 4294967296.0f}));
  EXPECT_EQ(read("i8").values, (Values{-9223372036854775808.0f, -1, 0, 7, 9223372036854775808.0f}));
  EXPECT_EQ(read("u8").values, (Values{0, 7, 18446744073709551616.0f}));
  EXPECT_EQ(read("b1").values, (Values{1, 0, 1}));
}

TEST(Npy, ReadsScalarsAndEmptyArrays) {
  EXPECT_EQ(read("scalar").shape, Sizes{});
  EXPECT_EQ(read("scalar").values, Values{2.5f});
  EXPECT_EQ(read("empty_0x3").shape, (Sizes{0, 3}));
  EXPECT_EQ(read("empty_0x3").values, Values{});
}

TEST(Npy, ReadsVersionsTwoAndThree) {
  EXPECT_EQ(read("version_2").values, (Values{1, 2}));
  EXPECT_EQ(read("version_3").values, (Values{1, 2}));
}

TEST(Npy, TakesKeysInAnyOrderAndWithoutLastComma) {
  const NpyArray array = parse(R"({"shape":(2,),"fortran_order":True,"descr":"|u1"})", "\x05\x06");
  EXPECT_EQ(array.shape, Sizes{2});
  EXPECT_EQ(array.values, (Values{5, 6}));
}

TEST(Npy, RefusesTypesWithoutPlainNumbers) {
  for (const char* name : {"structured", "complex"}) {
    expect_error(ErrorCode::kInvalidInput, {name + ".npy: the npy array has"s},
                 [&] { read(name); });
  }
  for (const char* type : {"|O", "<f3", "<f16", "=f4", "|f4", "<u1", "<S4", "", "<f\xff"}) {
    const std::string header =
        "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (1,), }";
    EXPECT_NE(error_of(header, "0123").find("has type \""), std::string::npos) << type;
  }
}

TEST(Npy, RefusesDataThatIsNotOfTheShape) {
  const auto error_for = [](const std::string& shape, std::string_view data) {
    return error_of("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", data);
  };
  EXPECT_EQ(error_for("(2, 1)", "0123456"),
            "noise.npy: the npy array has 7 bytes of data, but shape [2, 1] of 4-byte elements "
            "takes 8");
  EXPECT_NE(error_for("(2, 1)", "012345678").find("takes 8"), std::string::npos);
  EXPECT_NE(error_for("()", "").find("takes 4"), std::string::npos);
  EXPECT_NE(error_for("(0, 5)", "0").find("takes 0"), std::string::npos);
  // 2^62 * 4 elements of 4 bytes are 0 bytes modulo 2^64.
  EXPECT_NE(error_for("(4611686018427387904, 4)", "").find("more"), std::string::npos);
  EXPECT_NE(error_for("(4294967296, 4294967296)", "0123").find("more"), std::string::npos);
  // Each size is within the data, their product is 0 modulo 2^64.
  EXPECT_NE(error_for("(256,256,256,256,256,256,256,256)", std::string(256, 'x')).find("more"),
            std::string::npos);
  EXPECT_NE(error_for("(9223372036854775808,)", "").find("63 bits"), std::string::npos);
  EXPECT_EQ(error_for("(0, 9223372036854775807, 9223372036854775807)", ""), "no error");
}

TEST(Npy, RefusesDamagedHeaders) {
  for (const std::string_view header : {
           ""sv,
           "{"sv,
           "{}"sv,
           "[]"sv,
           "{'descr': '<f4', 'fortran_order': False}"sv,
           "{'descr': '<f4', 'shape': (1,)}"sv,
           "{'fortran_order': False, 'shape': (1,)}"sv,
           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}"sv,
           "{'descr': '<f4', 'shape': (1,), 'fortran_order': False, 'shape': (1,)}"sv,
           "{'fortran_order': False, 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"sv,
           "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}"sv,
           "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}"sv,
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}"sv,
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x"sv,
           "{'descr': 4, 'fortran_order': False, 'shape': (1,)}"sv,
       }) {
    EXPECT_NE(error_of(header, "0123").find("noise.npy: the npy"), std::string::npos) << header;
  }
  std::string many = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 65; ++i) many += "1,";
  EXPECT_NE(error_of(many + ")}", "0123").find("more than 64 dimensions"), std::string::npos);
}

TEST(Npy, RefusesWhatIsNoNpyFile) {
  const auto error_for = [](std::string_view file) {
    try {
      parse_npy(std::as_bytes(std::span(file)), "noise.npy");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return "no error"s;
  };
  EXPECT_NE(error_for("").find("no npy file"), std::string::npos);
  EXPECT_NE(error_for("\x93NUMPX\x01\0\0\0"sv).find("no npy file"), std::string::npos);
  EXPECT_NE(error_for("\x93NUMPY\x04\0\0\0"sv).find("version 4.0"), std::string::npos);
  EXPECT_NE(error_for("\x93NUMPY\x01\0"sv).find("within its header"), std::string::npos);
  EXPECT_NE(error_for("\x93NUMPY\x01\0\x10\0{"sv).find("within its header"), std::string::npos);
  EXPECT_NE(error_for("\x93NUMPY\x02\0\xff\xff\xff\xff{"sv).find("within its header"),
            std::string::npos);
}

TEST(Npy, EveryTruncationIsRefused) {
  const std::string whole = read_file(numpy_file("f4_2x3"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse_npy(std::as_bytes(std::span(whole).first(size)), "cut"), Error) << size;
  }
}

TEST(Npy, AFileThatIsAbsentIsAnIoError) {
  expect_error(ErrorCode::kIo, {"no/such.npy"}, [] { read_npy("no/such.npy"); });
}

TEST(NpyWrite, WritesTheBytesThatNumpyWrites) {
  const TemporaryDirectory folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  write_npy(folder / "a.npy", {2, 3}, Values{1.5f, -2.25f, 0.1f, 3e38f, -1e-45f, nan});
  EXPECT_EQ(read_file(folder / "a.npy"), read_file(numpy_file("f4_2x3")));
  write_npy(folder / "scalar.npy", {}, Values{2.5f});
  EXPECT_EQ(read_file(folder / "scalar.npy"), read_file(numpy_file("scalar")));
  write_npy(folder / "empty.npy", {0, 3}, {});
  EXPECT_EQ(read_file(folder / "empty.npy"), read_file(numpy_file("empty_0x3")));
}

TEST(NpyWrite, ReadsBackWhatItWrote) {
  const TemporaryDirectory folder;
  write_npy(folder / "a.npy", {3}, Values{1, 2, 3});
  const NpyArray array = read_npy(folder / "a.npy");
  EXPECT_EQ(array.shape, Sizes{3});
  EXPECT_EQ(array.values, (Values{1, 2, 3}));
}

TEST(NpyWrite, RefusesValuesThatAreNotOfTheShape) {
  const TemporaryDirectory folder;
  EXPECT_THROW(write_npy(folder / "a.npy", {2, 2}, Values{1, 2, 3}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.npy"));
}

}  // namespace
}  // namespace pi0
