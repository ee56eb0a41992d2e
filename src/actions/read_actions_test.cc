#include <cmath>
#include <fstream>
#include <string>

#include "actions/action_files.h"
#include "base/test_support.h"
#include "files/npy.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

using Values = std::vector<float>;
using Names = std::vector<std::string>;

class ReadActions : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, std::string_view text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  RecordedActions read(const std::string& name, std::string_view text) {
    return read_actions(write(name, text));
  }
  void refused(const std::string& name, std::string_view text, const std::string& words) {
    expect_error(ErrorCode::kInvalidInput, {name, words}, [&] { read(name, text); });
  }
  TemporaryDirectory folder;
};

void expect_same(const RecordedActions& found, int rows, int dims, const Values& values,
                 const Names& names) {
  EXPECT_EQ(found.rows, rows);
  EXPECT_EQ(found.dims, dims);
  EXPECT_EQ(found.values, values);
  EXPECT_EQ(found.names, names);
}

TEST_F(ReadActions, WhatWriteActionsWrote) {
  ActionChunk chunk;
  chunk.horizon = 2;
  chunk.dims = 2;
  chunk.actions = {0.1f, -2.5f, 7.038531e-26f, 3e38f};
  chunk.names = {"x, or y", "step"};
  for (const char* name : {"a.json", "a.csv", "a.safetensors"}) {
    write_actions(folder / name, chunk);
    expect_same(read_actions(folder / name), 2, 2, chunk.actions, chunk.names);
  }
  write_actions(folder / "a.npy", chunk);
  expect_same(read_actions(folder / "a.npy"), 2, 2, chunk.actions, {});
}

TEST_F(ReadActions, OthersJson) {
  expect_same(read("a.json", "[[1, 2], [3, 4.5]]"), 2, 2, {1, 2, 3, 4.5f}, {});
  expect_same(read("a.json", R"({"actions": [[1, 2]], "names": ["x", 3]})"), 1, 2, {1, 2}, {});
  refused("a.json", "[1, 2]", "no list of rows");
  refused("a.json", "[]", "no list of rows");
  refused("a.json", "{\"action\": [[1]]}", "no list of rows");
  refused("a.json", "[[]]", "[1, 0]");
  refused("a.json", "[[1, 2], [3]]", "row 1 has 1 values, but row 0 has 2");
  refused("a.json", "[[1, 2], 3]", "row 1 is no list");
  refused("a.json", "[[1, 2], [3, null]]", "row 1, column 1 is no number");
  refused("a.json", "[[1, 2], [3, 1e39]]", "row 1, column 1 is inf");
  refused("a.json", "[[1, 2]", "no JSON");
}

TEST_F(ReadActions, OthersCsv) {
  expect_same(read("a.csv", "1,2\n3,4\n"), 2, 2, {1, 2, 3, 4}, {});
  expect_same(read("a.csv", "x,y\r\n1, 2\r\n"), 1, 2, {1, 2}, {"x", "y"});
  expect_same(read("a.csv", "step,x,y\n0,1,2\n1,3,4"), 2, 2, {1, 2, 3, 4}, {"x", "y"});
  expect_same(read("a.csv", "step,0,1\n0,1,2"), 1, 2, {1, 2}, {"0", "1"});
  refused("a.csv", "", "[0, 0]");
  refused("a.csv", "step,x\n", "[0, 0]");
  refused("a.csv", "step\n0\n", "[1, 0]");
  refused("a.csv", "1,2\n3\n", "row 1 has 1 values");
  refused("a.csv", "x,y,z\n1,2\n", "names 3 dimensions");
  refused("a.csv", "1,two\n", "row 0, column 1 is \"two\"");
  refused("a.csv", "x,y\n1,\n", "row 0, column 1 is \"\"");
  refused("a.csv", "1,nan\n", "row 0, column 1 is nan");
  refused("a.csv", "1,\"2\n", "does not end");
}

TEST_F(ReadActions, OthersNpy) {
  const std::filesystem::path numpy = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/npy";
  expect_error(ErrorCode::kInvalidInput, {"f8.npy", "1 dimensions", "[steps, dims]"},
               [&] { read_actions(numpy / "f8.npy"); });
  expect_error(ErrorCode::kInvalidInput, {"[0, 3]"},
               [&] { read_actions(numpy / "empty_0x3.npy"); });
  expect_error(ErrorCode::kInvalidInput, {"row 1, column 2 is nan"},
               [&] { read_actions(numpy / "f4_2x3.npy"); });
}

// A file that PyTorch's lerobot gave; the values as NumPy prints them.
TEST_F(ReadActions, OthersSafetensors) {
  const std::filesystem::path golden =
      std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden/pi0_tiny/full.safetensors";
  const RecordedActions actions = read_actions(golden);
  EXPECT_EQ(actions.rows, 10);
  EXPECT_EQ(actions.dims, 32);
  ASSERT_EQ(actions.values.size(), 320u);
  EXPECT_EQ(actions.values.front(), -0.25378942489624023f);
  EXPECT_EQ(actions.values[1], 0.46813774f);
  EXPECT_EQ(actions.values.back(), 0.9905012845993042f);
  EXPECT_EQ(actions.names, Names{});
}

TEST_F(ReadActions, SafetensorsThatDoNotFit) {
  const auto refused_tensor = [&](const TensorToWrite& tensor, const std::string& words) {
    write_safetensors(folder / "a.safetensors", {tensor});
    expect_error(ErrorCode::kInvalidInput, {"a.safetensors", words},
                 [&] { read_actions(folder / "a.safetensors"); });
  };
  refused_tensor({"action", "F32", {1, 1}, "0000"}, "no tensor \"actions\"");
  refused_tensor({"actions", "I32", {1, 1}, "0000"}, "of type I32, expected F32 or F64");
  refused_tensor({"actions", "F32", {1}, "0000"}, "1 dimensions");
  refused_tensor({"actions", "F32", {0, 4}, ""}, "[0, 4]");
  refused("a.safetensors", "no such format", "a.safetensors");

  const double values[] = {0.1, -1e300};
  const std::string_view bytes(reinterpret_cast<const char*>(values), sizeof values);
  write_safetensors(folder / "f64.safetensors", {{"actions", "F64", {2, 1}, bytes}},
                    {{"names", "not JSON"}});
  expect_error(ErrorCode::kInvalidInput, {"row 1, column 0 is -inf"},
               [&] { read_actions(folder / "f64.safetensors"); });
  write_safetensors(folder / "f64.safetensors", {{"actions", "F64", {1, 1}, bytes.substr(0, 8)}},
                    {{"names", "not JSON"}});
  expect_same(read_actions(folder / "f64.safetensors"), 1, 1, {0.1f}, {});
}

TEST_F(ReadActions, OtherFiles) {
  refused("a.txt", "1,2", ".json, .csv, .npy or .safetensors");
  expect_error(ErrorCode::kIo, {"absent.csv"}, [&] { read_actions(folder / "absent.csv"); });
}

}  // namespace
}  // namespace pi0
