#include "serve/page.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "files/json.h"
#include "serve/board_testing.h"

namespace pi0 {
namespace {

ServerOptions options_of(std::string host, std::vector<std::string> keys) {
  ServerOptions options;
  options.checkpoint = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy";
  options.host = std::move(host);
  options.api_keys = std::move(keys);
  return options;
}

// A server that has no device and no connection.
struct Served {
  explicit Served(std::string host = "127.0.0.1", std::vector<std::string> keys = {})
      : options(options_of(std::move(host), std::move(keys))) {}

  HttpAnswer get(std::string_view target, std::string_view host = "localhost:8000",
                 std::string_view authorization = "") {
    return answer_http(hub, {"GET", target, host, authorization});
  }
  Json state(std::string_view target = "/state.json") {
    const HttpAnswer answer = get(target);
    EXPECT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(answer.type, "application/json");
    return parse_json(answer.body, "state.json");
  }

  void computed(const std::shared_ptr<Call>& call) {
    call->model = dispatcher.model();
    hub.ended(*call, make_result());
  }

  ServerOptions options;
  Dispatcher dispatcher{options, open_model(options), {}};
  Hub hub{options, dispatcher, {}};
};

const std::string kKey = "0123456789abcdef";

TEST(Page, IsThreeFiles) {
  Served served;
  const HttpAnswer page = served.get("/?whatever");
  EXPECT_EQ(page.status, 200u);
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  EXPECT_TRUE(page.body.starts_with("<!DOCTYPE html>"));
  EXPECT_EQ(served.get("/page.css").type, "text/css; charset=utf-8");
  const HttpAnswer script = served.get("/page.js");
  EXPECT_EQ(script.type, "text/javascript; charset=utf-8");
  // All are whole, and nothing in them becomes markup.
  EXPECT_TRUE(script.body.ends_with("poll();\n"));
  for (const char* const word :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="}) {
    EXPECT_EQ((page.body + script.body).find(word), std::string::npos) << word;
  }
  for (const std::string& body : {page.body, script.body, served.get("/page.css").body}) {
    const std::size_t other = body.find("://");
    EXPECT_TRUE(other == body.npos || body.substr(other, 14) == "://www.w3.org/");
  }
}

TEST(Page, TellsTheServerAndItsCalls) {
  Served served;
  const std::shared_ptr<Caller> caller = make_caller(1);
  served.hub.board.joined(*caller);
  served.computed(make_call(caller, "<script>alert(1)</script>"));
  served.computed(make_call(caller));
  const Json state = served.state("/state.json?client=1&since=1");
  EXPECT_EQ(state["server"]["kind"], "pi0");
  EXPECT_EQ(state["server"]["robot"], "none");
  EXPECT_EQ(state["server"]["state"], "ready");
  EXPECT_EQ(state["server"]["waiting"], 0);
  ASSERT_EQ(state["calls"].size(), 1u);
  EXPECT_EQ(state["calls"][0]["number"], 2);
  EXPECT_EQ(state["client"], 1);
  for (const char* const odd :
       {"?since=-1", "?since=1x&since", "?&&=&since=99999999999999999999", "?"}) {
    EXPECT_EQ(served.state(std::string("/state.json") + odd)["calls"].size(), 2u) << odd;
  }
}

TEST(Page, ShowsImages) {
  Served served;
  const std::shared_ptr<Caller> caller = make_caller(12);
  served.hub.board.joined(*caller);
  served.computed(make_call(caller));
  const HttpAnswer image = served.get("/image/12/0?n=1");
  EXPECT_EQ(image.type, "image/bmp");
  EXPECT_TRUE(image.body.starts_with("BM"));
  for (const char* const absent :
       {"/image/12/1", "/image/1/0", "/image/12", "/image//", "/image/", "/image/12/-1",
        "/image/12/0/", "/image/99999999999999999999/0"}) {
    EXPECT_EQ(served.get(absent).status, 404u) << absent;
  }
}

TEST(Page, IsOnlyLookedAt) {
  Served served;
  EXPECT_EQ(answer_http(served.hub, {"POST", "/", "localhost", ""}).status, 405u);
  EXPECT_EQ(served.get("/../etc/passwd").status, 404u);
  EXPECT_EQ(served.get("").status, 404u);
}

TEST(Page, IsOffForOtherMachinesWithoutAKey) {
  Served served("0.0.0.0");
  for (const char* const target : {"/", "/page.js", "/page.css", "/state.json", "/image/1/0"}) {
    const HttpAnswer answer = served.get(target);
    EXPECT_EQ(answer.status, 404u) << target;
    EXPECT_NE(answer.body.find("--api-key-file"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(served.get("/metrics").status, 200u);
}

TEST(Page, AsksForAKeyWhereThereIsOne) {
  Served served("0.0.0.0", {kKey});
  for (const char* const target : {"/", "/page.js", "/state.json", "/image/1/0"}) {
    const HttpAnswer answer = served.get(target);
    EXPECT_EQ(answer.status, 401u) << target;
    EXPECT_TRUE(answer.ask_for_key);
  }
  // "me:0123456789abcdef", as a browser sends it.
  const HttpAnswer page = served.get("/", "robot.lan:8000", "Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==");
  EXPECT_EQ(page.status, 200u) << page.body;
}

TEST(Page, IsNotForForeignNamesOfThisMachine) {
  Served served;
  for (const char* const host : {"localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"}) {
    EXPECT_EQ(served.get("/state.json", host).status, 200u) << host;
  }
  for (const std::string host : {"robot.example:8000", "127.0.0.1.example", "localhost.example:80",
                                 "127.example:8000", "", "[", "192.168.0.2:8000"}) {
    EXPECT_EQ(served.get("/state.json", host).status, 403u) << host;
    EXPECT_EQ(served.get("/", host).status, 403u) << host;
    EXPECT_EQ(served.get("/image/1/0", host).status, 403u) << host;
    const HttpRequest upgrade = {"GET", "/", host, ""};
    EXPECT_TRUE(refuse_websocket(served.hub, upgrade, "http://" + host)) << host;
    EXPECT_FALSE(refuse_websocket(served.hub, upgrade, "")) << "no browser's: " << host;
  }
  const HttpRequest own = {"GET", "/", "localhost:8000", ""};
  EXPECT_FALSE(refuse_websocket(served.hub, own, "http://localhost:8000"));
  // A key is what a foreign page has not.
  Served with_key("127.0.0.1", {kKey});
  EXPECT_EQ(with_key.get("/", "robot.example", "Bearer " + kKey).status, 200u);
}

}  // namespace
}  // namespace pi0
