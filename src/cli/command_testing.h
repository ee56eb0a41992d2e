// The command itself, as a user calls it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/test_support.h"

namespace pi0 {

class CommandTest : public testing::Test {
 protected:
  struct Result {
    int status = 0;
    std::string out;
    std::string err;
  };

  inline static const std::filesystem::path kSource = PI0_SOURCE_DIR;
  inline static const std::string kPolicy = (kSource / "examples/policy").string();
  inline static const std::string kGolden = (kSource / "testdata/golden").string();
  inline static const std::string kFrame =
      (kSource / "examples/frames/drawer_open_corner.png").string();

  std::string path(const std::string& name) const { return (directory / name).string(); }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // `arguments` as a shell takes them.
  Result pi0(const std::string& arguments, const std::string& environment = "") const {
    const std::string line = environment + " " + PI0_COMMAND + " " + arguments + " >" +
                             path("stdout") + " 2>" + path("stderr");
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(path("stdout")),
            read(path("stderr"))};
  }
  std::string run(const std::string& more) const {
    return "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
           " --state -0.0066,0.6386,0.2493,1 --prompt 'open the drawer' --seed 3 " + more;
  }
  // One line on stderr that holds `words`, nothing on stdout, status 2.
  void expect_error(const Result& result, const std::vector<std::string>& words) const {
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& word : words) {
      EXPECT_NE(result.err.find(word), std::string::npos) << "no " << word << " in " << result.err;
    }
  }
  std::size_t files_left() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                  std::filesystem::directory_iterator())) -
           2;  // stdout and stderr
  }

  TemporaryDirectory directory;
  const std::filesystem::path& folder = directory.path();
};

}  // namespace pi0
