// The page in a real browser, while a real client calls. Skipped where there is no chromium.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "files/file.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

std::string output_of(const std::string& command, int* status) {
  std::string output;
  FILE* const pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  *status = pclose(pipe);
  return output;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(PageInBrowser, ShowsWhatAClientDoes) {
  int status = 0;
  const std::string chromium = output_of("command -v chromium", &status);
  if (status != 0) GTEST_SKIP() << "chromium is not installed";
  const TemporaryDirectory directory;
  RunningServer server(served());
  RawClient client(server.port());
  client.read();
  Observation observation = seen();
  observation.prompt = "open <script>document.title = 'taken'</script>the drawer & \"more\"";
  Encoder going_on;
  going_on.map(1).text("rtc").map(2);
  going_on.text("executed").integer(4).text("inference_delay").integer(2);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.ask(message_of(observation, going_on.take())).has("actions"));
  }

  // The browser's clock runs ahead of ours: six seconds of the page take less than one.
  const std::string said = directory / "stderr";
  const std::string page = output_of(
      "HOME=" + directory.path().string() + " timeout 100 chromium --headless=new --no-sandbox" +
          " --disable-gpu --disable-dev-shm-usage --no-first-run --enable-logging=stderr" +
          " --user-data-dir=" + (directory / "profile").string() +
          " --virtual-time-budget=6000 --dump-dom http://127.0.0.1:" +
          std::to_string(server.port()) + "/ 2>" + said,
      &status);
  ASSERT_EQ(status, 0) << read_file(said, 1 << 20);
  const std::string log = read_file(said, 1 << 20);
  EXPECT_EQ(log.find("CONSOLE"), log.npos) << log;

  EXPECT_NE(page.find("<title>pi0 serve</title>"), page.npos);
  EXPECT_NE(page.find(">Client 1, 127.0.0.1:"), page.npos) << page;
  EXPECT_EQ(page.find("<script>document"), page.npos);
  EXPECT_NE(page.find("“open &lt;script&gt;document.title = 'taken'&lt;/script&gt;the drawer &amp; "
                      "\"more\"”"),
            page.npos)
      << page;
  EXPECT_NE(page.find("src=\"/image/1/0?n=3\""), page.npos);
  EXPECT_NE(page.find("Call 3 goes on from call 2: 4 of its rows"), page.npos);
  EXPECT_EQ(count(page, ">jump "), 4u);
  // Four joints, and one in the legend.
  for (const char* const curve : {"curve gone", "curve rest", "curve guided", "curve new"}) {
    EXPECT_EQ(count(page, "class=\"" + std::string(curve) + "\""), 5u) << curve;
  }
  EXPECT_EQ(count(page, "<rect class=\"denoise\"") + count(page, "class=\"denoise\"><"), 4u)
      << page;
  EXPECT_NE(page.find(">1 connected · 0 computing · 0 waiting<"), page.npos);
}

}  // namespace
}  // namespace pi0
