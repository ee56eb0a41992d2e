#include "files/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(PI0_SOURCE_DIR) / "testdata/golden";

// A file of a header, whose length is put before it, and `data_size` zeros.
std::string file_of(const std::string& header, std::size_t data_size) {
  const std::uint64_t size = header.size();
  std::string text(reinterpret_cast<const char*>(&size), 8);
  return text + header + std::string(data_size, '\0');
}

// One tensor's entry; the header is padded to 8 bytes by header_of.
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

std::string header_of(const std::vector<std::string>& entries) {
  std::string text = "{";
  for (std::size_t i = 0; i < entries.size(); ++i) text += (i ? "," : "") + entries[i];
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

SafeTensors parse(const std::string& file) {
  return SafeTensors::parse(std::as_bytes(std::span(file.data(), file.size())), "x.safetensors");
}

void expect_bad(const std::string& file, std::vector<std::string> words) {
  words.push_back("x.safetensors");
  expect_error(ErrorCode::kInvalidCheckpoint, words, [&] { parse(file); });
}

// Written by the reference implementation (safetensors 0.8.0, safetensors.torch.save).
const std::string kReference =
    std::string("H\x01\0\0\0\0\0\0", 8) +
    R"({"__metadata__":{"task":"pick \"it\" up"},"d":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
    R"("empty":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]},)"
    R"("c":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},)"
    R"("a":{"dtype":"U8","shape":[2,1],"data_offsets":[18,20]}}       )" +
    std::string("\x07\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\xc0?\x03\x04", 20);

TEST(SafeTensors, ReadsWhatTheReferenceWrites) {
  const SafeTensors file = parse(kReference);
  EXPECT_EQ(file.tensors().size(), 5u);
  EXPECT_EQ(file.metadata().at("task"), "pick \"it\" up");
  EXPECT_EQ(file.find("absent"), nullptr);
  const SafeTensor& b = *file.find("b");
  EXPECT_EQ(b.dtype, "F32");
  EXPECT_EQ(b.shape, std::vector<std::int64_t>{2});
  float values[2];
  ASSERT_EQ(b.bytes.size(), sizeof values);
  std::memcpy(values, b.bytes.data(), sizeof values);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], 2.0f);
  EXPECT_EQ(file.find("empty")->bytes.size(), 0u);
  EXPECT_EQ(file.find("d")->shape.size(), 0u);
  EXPECT_EQ(file.find("a")->bytes[1], std::byte{4});
}

TEST(SafeTensors, WritesByteForByteAsTheReferenceDoes) {
  const TemporaryDirectory directory;
  const fs::path path = directory / "out.safetensors";
  write_safetensors(path,
                    {{"b", "F32", {2}, {"\0\0\x80?\0\0\0@", 8}},
                     {"a", "U8", {2, 1}, "\x03\x04"},
                     {"c", "BF16", {1}, "\xc0?"},
                     {"empty", "F32", {0, 3}, ""},
                     {"d", "I64", {}, {"\x07\0\0\0\0\0\0\0", 8}}},
                    {{"task", "pick \"it\" up"}});
  EXPECT_EQ(read_file(path), kReference);
}

TEST(SafeTensors, OpensEveryGolden) {
  int count = 0;
  for (const auto& found : fs::recursive_directory_iterator(kGolden)) {
    if (found.path().extension() != ".safetensors") continue;
    const SafeTensors file = SafeTensors::open(found.path());
    EXPECT_FALSE(file.tensors().empty()) << found.path();
    EXPECT_EQ(file.where(), found.path().string());
    ++count;
  }
  EXPECT_GE(count, 30);
}

TEST(SafeTensors, KeepsTheMappingAlive) {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  {
    const SafeTensors file = SafeTensors::open(kGolden / "pi0_tiny/full.safetensors");
    owner = file.owner();
    bytes = file.find("time")->bytes;
  }
  float first;
  std::memcpy(&first, bytes.data(), sizeof first);
  EXPECT_EQ(first, 1.0f);  // t of the first Euler step
}

TEST(SafeTensors, TakesAFileWithoutTensors) {
  EXPECT_TRUE(parse(file_of("{}      ", 0)).tensors().empty());
}

TEST(SafeTensors, RefusesATruncatedFile) {
  expect_bad("", {"truncated", "0 bytes"});
  expect_bad("1234567", {"truncated", "7 bytes"});
  expect_bad(kReference.substr(0, 100), {"truncated", "header has 328 bytes", "only 92"});
  expect_bad(kReference.substr(0, kReference.size() - 1),
             {"tensor a", "[18, 20)", "19 bytes of data", "truncated"});
}

TEST(SafeTensors, RefusesAnOversizedFile) {
  expect_bad(kReference + "x", {"oversized", "byte 20", "21 bytes"});
  expect_bad(file_of("{}      ", 1), {"oversized"});
}

TEST(SafeTensors, RefusesAHeaderThatIsTooLong) {
  std::string file = kReference;
  const std::uint64_t size = 100'000'001;
  std::memcpy(file.data(), &size, sizeof size);
  expect_bad(file, {"100000001", "at most 100000000"});
  expect_bad("GGUF not a safetensors file", {"is it a safetensors file?"});
}

TEST(SafeTensors, RefusesAPointerOfGitLfs) {
  expect_bad("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 6477\n",
             {"Git LFS", "git lfs pull"});
}

TEST(SafeTensors, RefusesAHeaderThatIsNoObject) {
  expect_bad(file_of("{\"a\"", 0), {"the header", "no JSON"});
  expect_bad(file_of("[1, 2]", 0), {"the header", "an array", "an object"});
  expect_bad(file_of("{\"a\": 3}", 0), {"tensor a", "3", "an object"});
  expect_bad(file_of("{\"__metadata__\": {\"a\": 3}}", 0), {"__metadata__", "\"a\"", "a string"});
  expect_bad(file_of("{\"__metadata__\": []}", 0), {"__metadata__", "an object"});
}

TEST(SafeTensors, RefusesATensorThatIsThereTwice) {
  expect_bad(
      file_of(header_of({entry("a", "U8", "[1]", "[0,1]"), entry("a", "U8", "[1]", "[0,1]")}), 1),
      {"\"a\"", "twice"});
}

TEST(SafeTensors, RefusesAnUnknownType) {
  expect_bad(file_of(header_of({entry("a", "Q4", "[1]", "[0,1]")}), 1),
             {"tensor a", "unknown type", "\"Q4\""});
  expect_bad(file_of(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1),
             {"tensor a", "\"dtype\" is missing"});
}

TEST(SafeTensors, RefusesAShapeThatIsNone) {
  for (const char* shape : {"[-1]", "[1.0]", "[\"1\"]", "[null]", "[9223372036854775808]"}) {
    expect_bad(file_of(header_of({entry("a", "U8", shape, "[0,1]")}), 1),
               {"tensor a", "\"shape\""});
  }
  expect_bad(file_of(header_of({entry("a", "U8", "1", "[0,1]")}), 1), {"\"shape\" is 1"});
  expect_bad(file_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), {"\"shape\" is missing"});
  expect_bad(
      file_of(header_of({entry("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]")}), 1),
      {"17 dimensions", "at most 16"});
}

TEST(SafeTensors, RefusesOffsetsThatAreNone) {
  for (const char* offsets : {"[0]", "[0,1,2]", "[-1,1]", "[0,1.5]", "[0,\"1\"]", "[]"}) {
    expect_bad(file_of(header_of({entry("a", "U8", "[1]", offsets)}), 1),
               {"tensor a", "\"data_offsets\""});
  }
  expect_bad(file_of(R"({"a":{"dtype":"U8","shape":[1]}})", 1), {"\"data_offsets\" is missing"});
  expect_bad(file_of(header_of({entry("a", "U8", "[1]", "[1,0]")}), 1), {"ends before it begins"});
  expect_bad(file_of(header_of({entry("a", "U8", "[1]", "[0,18446744073709551615]")}), 1),
             {"tensor a", "truncated"});
}

TEST(SafeTensors, RefusesASizeThatDoesNotFollowFromShapeAndType) {
  expect_bad(file_of(header_of({entry("a", "F32", "[2,3]", "[0,20]")}), 20),
             {"tensor a", "20 bytes", "[2, 3]", "F32", "24"});
  // 2^62 * 4 bytes wraps around to 0, and 2^32 * 2^32 to 0 before the type is looked at.
  expect_bad(file_of(header_of({entry("a", "F32", "[4611686018427387904]", "[0,0]")}), 0),
             {"tensor a", "more than 64 bits"});
  expect_bad(file_of(header_of({entry("a", "U8", "[4294967296,4294967296]", "[0,0]")}), 0),
             {"tensor a", "more than 64 bits"});
}

TEST(SafeTensors, RefusesOverlappingTensors) {
  expect_bad(
      file_of(header_of({entry("a", "U8", "[4]", "[0,4]"), entry("b", "U8", "[4]", "[2,6]")}), 6),
      {"tensor b", "[2, 6)", "overlaps a", "[0, 4)"});
  expect_bad(
      file_of(header_of({entry("a", "U8", "[4]", "[0,4]"), entry("b", "U8", "[4]", "[0,4]")}), 4),
      {"overlaps"});
}

TEST(SafeTensors, RefusesGaps) {
  expect_bad(
      file_of(header_of({entry("a", "U8", "[4]", "[0,4]"), entry("b", "U8", "[4]", "[5,9]")}), 9),
      {"[4, 5)", "before tensor b", "belong to no tensor"});
  expect_bad(file_of(header_of({entry("a", "U8", "[4]", "[1,5]")}), 5), {"[0, 1)", "tensor a"});
}

TEST(SafeTensors, RefusesMisalignedTensors) {
  expect_bad(
      file_of(header_of({entry("a", "U8", "[2]", "[0,2]"), entry("b", "F32", "[1]", "[2,6]")}), 6),
      {"tensor b", "misaligned", "multiple of 4"});
  // The whole data is misaligned when the header's length is odd.
  const std::string header = header_of({entry("a", "F32", "[1]", "[0,4]")}) + " ";
  expect_bad(file_of(header, 4), {"tensor a", "misaligned"});
  EXPECT_NO_THROW(parse(file_of(header_of({entry("a", "U8", "[4]", "[0,4]")}) + " ", 4)));
}

TEST(SafeTensors, TakesTensorsInAnyOrder) {
  const std::string file =
      file_of(header_of({entry("b", "U8", "[4]", "[4,8]"), entry("a", "F32", "[1]", "[0,4]")}), 8);
  EXPECT_EQ(parse(file).find("b")->bytes.size(), 4u);
}

TEST(SafeTensors, NamesTheFileThatCannotBeRead) {
  expect_error(ErrorCode::kIo, {"no/such.safetensors", "cannot be read"},
               [] { SafeTensors::open("no/such.safetensors"); });
}

}  // namespace
}  // namespace pi0
