#include "serve/board.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "serve/board_testing.h"

namespace pi0 {
namespace {

using namespace std::chrono_literals;

TEST(Board, TellsCalls) {
  Board board;
  const std::shared_ptr<Caller> caller = make_caller(7);
  board.joined(*caller);
  const std::shared_ptr<Call> call = make_call(caller);
  board.ended(call, make_result(), 2, call->arrived + 20ms);
  board.ended(make_call(caller), CallError{"stale", "too late"}, 0);

  const Json state = board.state(0, 0);
  ASSERT_EQ(state["calls"].size(), 2u);
  const Json& line = state["calls"][0];
  EXPECT_EQ(line["number"], 1);
  EXPECT_EQ(line["client"], 7);
  EXPECT_EQ(line["outcome"], "ok");
  EXPECT_EQ(line["device"], "a card");
  EXPECT_DOUBLE_EQ(line["total"].get<double>(), 20);
  EXPECT_EQ(line["queue"], 3);
  EXPECT_EQ(line["stages"],
            Json({{"preprocess", 1.0}, {"vision", 2.0}, {"prefix", 4.0}, {"denoise", 8.0}}));
  EXPECT_EQ(state["calls"][1]["outcome"], "stale");
  EXPECT_EQ(state["calls"][1]["sentence"], "too late");
  EXPECT_EQ(state["last_call"], 2);

  ASSERT_EQ(board.state(1, 0)["calls"].size(), 1u);
  EXPECT_EQ(board.state(1, 0)["calls"][0]["number"], 2);
  EXPECT_TRUE(board.state(2, 0)["calls"].empty());
  EXPECT_TRUE(board.state(~std::uint64_t{0}, 0)["calls"].empty());
}

TEST(Board, TellsTheStagesOfABatchTogether) {
  Board board;
  CallResult result = make_result();
  result.chunks.push_back(result.chunks.front());
  const std::shared_ptr<Call> call = make_call(make_caller(1));
  call->batch = true;
  board.ended(call, result, 2);
  const Json line = board.state(0, 0)["calls"][0];
  EXPECT_EQ(line["batch"], 2);
  EXPECT_EQ(line["stages"]["denoise"], 16);
}

TEST(Board, TellsClientsAndWhatTheySee) {
  Board board;
  const std::shared_ptr<Caller> quiet = make_caller(1), robot = make_caller(2);
  board.joined(*quiet);
  board.joined(*robot);
  board.ended(make_call(robot, "open the drawer"), make_result(), 2);

  const Json state = board.state(0, 0);
  EXPECT_EQ(state["client"], 2);  // who called last
  ASSERT_EQ(state["clients"].size(), 2u);
  const Json& first = state["clients"][0];
  EXPECT_EQ(first["id"], 2);
  EXPECT_EQ(first["peer"], "127.0.0.1:1002");
  EXPECT_EQ(first["calls"], 1);
  EXPECT_EQ(first["last_call"], 1);
  EXPECT_EQ(first["prompt"], "open the drawer");
  EXPECT_EQ(first["state"], Json({0.5, 2.0}));
  EXPECT_EQ(first["cameras"], Json::array({{{"name", "top"}, {"width", 2}, {"height", 1}}}));
  EXPECT_FALSE(state["clients"][1].contains("cameras"));
}

TEST(Board, TellsTheLastTwoChunksAndHowTheyMeet) {
  Board board;
  const std::shared_ptr<Caller> caller = make_caller(1), other = make_caller(2);
  board.joined(*caller);
  board.joined(*other);
  for (int i = 0; i < 3; ++i) {
    const std::shared_ptr<Call> call = make_call(caller);
    call->options.rtc.emplace().rtc.executed = 5;
    CallResult result = make_result(static_cast<float>(10 * i));
    if (i > 0) result.chunks[0].seam = {4, 1, {0.5f, 6}, {0.25f, 7}};
    board.ended(call, result, 1);  // one dimension is the robot's
    if (i == 0) {
      EXPECT_FALSE(board.state(0, 0)["chunks"][0].contains("seam"));
    }
  }
  board.ended(make_call(other), make_result(), 2);

  const Json chunks = board.state(0, 1)["chunks"];
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0]["call"], 2);
  EXPECT_EQ(chunks[0]["actions"], Json::array({Json::array({10.0}), Json::array({12.0})}));
  EXPECT_EQ(chunks[1]["actions"], Json::array({Json::array({20.0}), Json::array({22.0})}));
  EXPECT_EQ(chunks[1]["seam"], Json({{"executed", 5},
                                     {"delay", 4},
                                     {"row", 1},
                                     {"jump", Json::array({0.5})},
                                     {"velocity_change", Json::array({0.25})}}));
  EXPECT_EQ(chunks[1]["names"], Json::array({"x"}));
  EXPECT_EQ(chunks[1]["ranges"], Json::array({Json::array({-1.0, 1.0})}));
  EXPECT_EQ(board.state(0, 2)["chunks"][0]["ranges"][1], nullptr);  // none is known
  EXPECT_FALSE(board.state(3, 1).contains("chunks"));               // nothing new of it
}

TEST(Board, KeepsSoManyCallsAndThoseWhoLeftForAMinute) {
  Board board;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 300; ++i) board.ended(make_call(make_caller(1)), make_result(), 2);
  EXPECT_EQ(board.state(0, 0)["calls"].size(), 256u);
  EXPECT_EQ(board.state(0, 0)["calls"][0]["number"], 45);
  EXPECT_TRUE(board.state(0, 0)["clients"].empty());  // it never came

  const std::shared_ptr<Caller> stays = make_caller(1);
  board.joined(*stays, begin);
  for (std::uint64_t id = 2; id < 102; ++id) {
    const std::shared_ptr<Caller> caller = make_caller(id);
    board.joined(*caller, begin);
    board.ended(make_call(caller), make_result(), 2, begin);
    board.left(*caller, begin + std::chrono::milliseconds(id));
  }
  EXPECT_FALSE(board.picture(37, 0));  // of 100, the first 36 are forgotten
  EXPECT_TRUE(board.picture(38, 0));
  EXPECT_TRUE(board.state(0, 0, begin + 59s)["clients"][1]["left"]);
  const Json later = board.state(0, 101, begin + 61s);
  ASSERT_EQ(later["clients"].size(), 1u);
  EXPECT_EQ(later["clients"][0]["id"], 1);
  board.left(*stays, begin + 61s);
  EXPECT_FALSE(board.picture(101, 0));
}

TEST(Board, ShowsSixtyFourClientsOfMany) {
  Board board;
  const Clock::time_point begin = Clock::now();
  for (std::uint64_t id = 1; id <= 100; ++id) {
    board.joined(*make_caller(id), begin + std::chrono::milliseconds(id));
  }
  const Json clients = board.state(0, 0, begin)["clients"];
  ASSERT_EQ(clients.size(), 64u);
  EXPECT_EQ(clients[0]["id"], 100);
}

TEST(Board, KeepsSoMuchOfWhatWasSeen) {
  Board board;
  const Clock::time_point begin = Clock::now();
  for (std::uint64_t id = 1; id <= 3; ++id) {
    const std::shared_ptr<Caller> caller = make_caller(id);
    board.joined(*caller, begin);
    const std::shared_ptr<Call> call = make_call(caller);
    call->message.resize(std::size_t{50} << 20);
    board.ended(call, make_result(), 2, begin + std::chrono::milliseconds(id));
  }
  EXPECT_FALSE(board.picture(1, 0));
  EXPECT_TRUE(board.picture(2, 0));
  EXPECT_TRUE(board.picture(3, 0));
  const std::shared_ptr<Call> call = make_call(make_caller(1));
  call->message.resize(std::size_t{129} << 20);
  board.ended(call, make_result(), 2, begin + 1s);  // more than may be kept of all
  EXPECT_FALSE(board.picture(1, 0));
  EXPECT_EQ(board.state(0, 1)["clients"].size(), 3u);
}

TEST(Board, MakesTextsPrintableAndShort) {
  Board board;
  const std::shared_ptr<Caller> caller = make_caller(1);
  board.joined(*caller);
  board.ended(make_call(caller, "a\xff\n\xe2\x80\xae" + std::string(1'000'000, 'x')),
              CallError{"invalid", "\x1b[2J"}, 0);
  const Json state = board.state(0, 0);
  const std::string prompt = state["clients"][0]["prompt"];
  EXPECT_TRUE(prompt.starts_with("a\uFFFD  x")) << prompt;
  EXPECT_TRUE(prompt.ends_with("x…"));
  EXPECT_LT(prompt.size(), 520u);
  EXPECT_EQ(state["calls"][0]["sentence"], " [2J");
  EXPECT_NO_THROW(state.dump());  // it is UTF-8

  std::string pies;
  for (int i = 0; i < 300; ++i) pies += "aπ";  // 500 bytes end within one
  board.ended(make_call(caller, pies), make_result(), 2);
  const std::string cut = board.state(0, 0)["clients"][0]["prompt"];
  EXPECT_EQ(cut.find("\uFFFD"), cut.npos) << cut;
}

TEST(Board, HasNoPictureOfWhatThereIsNot) {
  Board board;
  const std::shared_ptr<Caller> caller = make_caller(1);
  board.joined(*caller);
  EXPECT_FALSE(board.picture(1, 0));  // it has not called
  const auto refused = std::make_shared<Call>();
  refused->caller = caller;
  board.ended(refused, CallError{"invalid", "no image"}, 0);
  EXPECT_FALSE(board.picture(1, 0));
  board.ended(make_call(caller), make_result(), 2);
  EXPECT_TRUE(board.picture(1, 0));
  EXPECT_FALSE(board.picture(1, 1));
  EXPECT_FALSE(board.picture(2, 0));
}

}  // namespace
}  // namespace pi0
