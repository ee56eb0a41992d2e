#include "serve/api_keys.h"

#include <unistd.h>

#include "base/test_support.h"
#include "files/file.h"

namespace pi0 {
namespace {

class ApiKeysTest : public testing::Test {
 protected:
  std::vector<std::string> read(const std::string& text, unsigned mode) {
    write_file(file_, text);
    std::filesystem::permissions(file_, static_cast<std::filesystem::perms>(mode));
    return read_api_keys(file_);
  }
  void expect_refused(unsigned mode) {
    expect_error(ErrorCode::kInvalidInput, {"keys: others than its owner may read it"},
                 [&] { read("0123456789abcdef\n", mode); });
  }

  TemporaryDirectory folder_;
  const std::filesystem::path file_ = folder_ / "keys";
};

TEST_F(ApiKeysTest, AreThoseOfTheFile) {
  EXPECT_EQ(read("# of the robots\n0123456789abcdef\r\n\nfedcba9876543210", 0600),
            (std::vector<std::string>{"0123456789abcdef", "fedcba9876543210"}));
}

TEST_F(ApiKeysTest, AreRefusedWhereOthersMayReadThem) {
  for (const unsigned mode : {0604u, 0644u, 0602u, 0620u, 0666u}) expect_refused(mode);
}

TEST_F(ApiKeysTest, OfRootMayBeReadByItsGroup) {
  for (const unsigned mode : {0440u, 0640u}) {
    if (::geteuid() == 0) {
      EXPECT_EQ(read("0123456789abcdef\n", mode).size(), 1u);
    } else {
      expect_refused(mode);
    }
  }
}

const std::vector<std::string> kKeys = {"one-key-0123456789", "another-key-012345"};

TEST_F(ApiKeysTest, AreTakenHoweverAClientSendsThem) {
  EXPECT_TRUE(is_authorized(kKeys, "Api-Key another-key-012345"));
  EXPECT_TRUE(is_authorized(kKeys, "Bearer one-key-0123456789"));
  EXPECT_TRUE(is_authorized(kKeys, "Basic cm9ib3Q6b25lLWtleS0wMTIzNDU2Nzg5"));  // robot:one-key-…
  EXPECT_TRUE(is_authorized({}, ""));
}

TEST_F(ApiKeysTest, NothingElseIsTaken) {
  for (const char* header :
       {"", "Api-Key ", "Api-Key one-key-012345678", "Api-Key one-key-01234567890",
        "one-key-0123456789", "Basic ", "Basic !!!!",
        "Basic cm9ib3Q=", "Basic b25lLWtleS0wMTIzNDU2Nzg5", "Api-Key one-key-0123456789 "}) {
    EXPECT_FALSE(is_authorized(kKeys, header)) << header;
  }
}

}  // namespace
}  // namespace pi0
