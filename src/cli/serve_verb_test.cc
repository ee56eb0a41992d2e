#include <fstream>

#include "cli/command_testing.h"

namespace pi0 {
namespace {

using ServeVerbTest = CommandTest;

// Before it listens, not when a client comes.
TEST_F(ServeVerbTest, MetadataIsAnObject) {
  const auto serve = [this](const char* metadata) {
    std::ofstream(path("metadata.json")) << metadata;
    return pi0("serve " + kPolicy + " --port 0 --metadata " + path("metadata.json"), "timeout 30");
  };
  expect_error(serve("[1]"), {"metadata.json: is an array", "expected an object"});
  expect_error(serve("{\"a\": "), {"metadata.json"});
}

}  // namespace
}  // namespace pi0
