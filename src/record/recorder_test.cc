#include "record/recorder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "base/file_limit_testing.h"
#include "base/test_support.h"
#include "files/descriptor.h"
#include "record/record_files.h"
#include "record/record_testing.h"

namespace pi0 {
namespace {

constexpr std::uint64_t kPlenty = 1'000'000'000;

// What recorders of a test say.
class Said {
 public:
  std::function<void(const std::string&)> function() {
    return [this](const std::string& sentence) {
      const std::lock_guard lock(mutex_);
      sentences_.push_back(sentence);
    };
  }
  std::vector<std::string> sentences() {
    const std::lock_guard lock(mutex_);
    return sentences_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> sentences_;
};

void add(Recorder& recorder, const std::shared_ptr<const RecordHead>& head,
         std::size_t message_bytes = 1000) {
  const std::uint64_t number = recorder.next_number();
  recorder.add(head, message_bytes, [=] { return call_of(number, message_bytes); });
}

void wait_for(const std::function<bool()>& so) {
  for (int i = 0; i < 2000 && !so(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(so());
}

// All numbers of the directory's calls, in their order. A damage is a failure unless it is wanted.
std::vector<std::uint64_t> numbers(const std::filesystem::path& directory,
                                   std::vector<std::string>* damages = nullptr) {
  std::vector<std::uint64_t> numbers;
  for (const RecordFileName& name : record_files(directory)) {
    const RecordFile file = read_record_file(name.path, [&](const std::string& damage) {
      if (damages) {
        damages->push_back(damage);
      } else {
        ADD_FAILURE() << damage;
      }
    });
    for (const auto& bytes : file.calls) numbers.push_back(decode_call(bytes).number);
  }
  return numbers;
}

std::uint64_t size_of(const std::filesystem::path& directory) {
  std::uint64_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    size += entry.file_size();
  }
  return size;
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST(RecorderTest, ACallIsReadAsItWas) {
  TemporaryDirectory directory;
  Said said;
  {
    Recorder recorder(directory / "calls", kPlenty, said.function());
    add(recorder, head_of("policy"));
    RecordedCall failed;
    failed.error_code = "busy";
    failed.error = "64 calls are waiting";
    failed.number = recorder.next_number();
    recorder.add(head_of("policy"), 0, [failed] { return failed; });
  }
  EXPECT_TRUE(said.sentences().empty());
  const auto files = record_files(directory / "calls");
  ASSERT_EQ(files.size(), 2u) << "another head is another file";
  const auto fail = [](const std::string& damage) { ADD_FAILURE() << damage; };
  const RecordFile file = read_record_file(files[0].path, fail);
  EXPECT_EQ(file.head.checkpoint, "policy");
  EXPECT_EQ(file.head.prompt, "open the drawer");
  EXPECT_EQ(file.head.metadata, head_of("")->metadata);
  ASSERT_EQ(file.calls.size(), 1u);
  const RecordedCall call = decode_call(file.calls[0]), was = call_of(1);
  EXPECT_EQ(call.number, 1u);
  EXPECT_EQ(call.client, was.client);
  EXPECT_EQ(call.peer, was.peer);
  EXPECT_EQ(call.arrived, was.arrived);
  EXPECT_TRUE(std::ranges::equal(call.message, was.message));
  EXPECT_EQ(call.steps, was.steps);
  EXPECT_EQ(call.seed, was.seed);
  EXPECT_EQ(call.noise.shape, was.noise.shape);
  EXPECT_EQ(call.noise.values, was.noise.values);
  EXPECT_EQ(call.inference_delay, was.inference_delay);
  EXPECT_EQ(call.last.actions, was.last.actions);
  EXPECT_EQ(call.last.model_actions, was.last.model_actions);
  EXPECT_EQ(call.last.state, was.last.state);
  EXPECT_EQ(call.last.preceding, was.last.preceding);
  EXPECT_EQ(call.last.begun, was.last.begun);
  EXPECT_EQ(call.device, was.device);
  EXPECT_EQ(call.least_correlation, was.least_correlation);
  EXPECT_EQ(call.queue_ms, was.queue_ms);
  EXPECT_EQ(call.infer_ms, was.infer_ms);
  EXPECT_EQ(call.total_ms, was.total_ms);
  EXPECT_EQ(call.outputs.values, was.outputs.values);
  EXPECT_EQ(call.actions.shape, was.actions.shape);
  EXPECT_EQ(call.actions.values, was.actions.values);
  const RecordFile second = read_record_file(files[1].path, fail);
  ASSERT_EQ(second.calls.size(), 1u);
  const RecordedCall failed = decode_call(second.calls[0]);
  EXPECT_EQ(failed.error_code, "busy");
  EXPECT_EQ(failed.error, "64 calls are waiting");
  EXPECT_EQ(failed.steps, 0);
}

// The file is of Python's msgpack.
TEST(RecorderTest, AFileIsReadAsDocumented) {
  const std::filesystem::path path = PI0_SOURCE_DIR;
  const RecordFile file =
      read_record_file(path / "fuzz/corpus/fuzz_record/file",
                       [](const std::string& damage) { ADD_FAILURE() << damage; });
  EXPECT_EQ(file.head.checkpoint, "policy");
  ASSERT_EQ(file.calls.size(), 2u);
  const RecordedCall call = decode_call(file.calls[0]);
  EXPECT_EQ(call.seed, ~std::uint64_t{0});
  EXPECT_EQ(call.noise.values, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(call.actions.shape, (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_EQ(call.last.model_actions.size(), 6u);
  EXPECT_EQ(call.last.begun, 1);
  EXPECT_EQ(decode_call(file.calls[1]).error_code, "busy");
}

TEST(RecorderTest, FilesAreTheUsersAlone) {
  TemporaryDirectory directory;
  const mode_t before = ::umask(0);
  {
    Recorder recorder(directory / "calls", kPlenty, [](const std::string&) {});
    add(recorder, head_of("policy"));
  }
  ::umask(before);
  EXPECT_EQ(mode_of(directory / "calls"), mode_t{0700});
  EXPECT_EQ(mode_of(record_files(directory / "calls").at(0).path), mode_t{0600});
}

TEST(RecorderTest, TheOldestGoFirst) {
  TemporaryDirectory directory;
  constexpr std::uint64_t kMost = 200'000;
  Recorder recorder(directory / "calls", kMost,
                    [](const std::string& sentence) { ADD_FAILURE() << sentence; });
  const auto head = head_of("policy");
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    add(recorder, head);
    if (i % 50 != 0) continue;
    wait_for([&] { return recorder.written() == i; });
    EXPECT_LE(size_of(directory / "calls"), kMost);
  }
  const std::vector<std::uint64_t> kept = numbers(directory / "calls");
  ASSERT_FALSE(kept.empty());
  EXPECT_EQ(kept.back(), 1000u);
  EXPECT_EQ(kept.back() - kept.front() + 1, kept.size()) << "one in the middle is gone";
  EXPECT_GT(size_of(directory / "calls"), kMost / 2);
  // One that takes more than an eighth; one that would take all.
  add(recorder, head, kMost / 2);
  wait_for([&] { return recorder.written() == 1001; });
  EXPECT_EQ(numbers(directory / "calls").back(), 1001u);
  EXPECT_LE(size_of(directory / "calls"), kMost);
  add(recorder, head, kMost);
  wait_for([&] { return recorder.dropped() == 1; });
  add(recorder, head);
  wait_for([&] { return recorder.written() == 1002; });
  EXPECT_EQ(numbers(directory / "calls").back(), 1003u);
}

TEST(RecorderTest, NumbersGoOnAndEarlierCallsCount) {
  TemporaryDirectory directory;
  std::ofstream(directory / "calls-notes.msgpack") << "not ours";
  const auto head = head_of("policy");
  for (int run = 0; run < 3; ++run) {
    Recorder recorder(directory.path(), kPlenty, [](const std::string&) {});
    for (int i = 0; i < 5; ++i) add(recorder, head);
  }
  EXPECT_EQ(numbers(directory.path()),
            (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(record_files(directory.path()).size(), 3u);
  {
    Recorder recorder(directory.path(), 10'000, [](const std::string&) {});
    add(recorder, head);
  }
  EXPECT_EQ(numbers(directory.path()).back(), 16u);
  EXPECT_LE(size_of(directory.path()), 10'000u + 8);
  EXPECT_TRUE(std::filesystem::exists(directory / "calls-notes.msgpack"));
}

TEST(RecorderTest, AProcessThatIsKilledLosesTheLastCallAtMost) {
  TemporaryDirectory directory;
  int told[2];
  ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Recorder recorder(directory / "calls", kPlenty, [](const std::string&) {});
    const auto head = head_of("policy");
    for (std::uint64_t i = 0;; ++i) {
      add(recorder, head, 300'000);
      while (recorder.written() <= i) std::this_thread::yield();
      if (::write(told[1], &i, sizeof i) < 0) ::_exit(1);
    }
  }
  ::close(told[1]);
  std::uint64_t last = 0, one = 0;
  while (last < 40 && ::read(told[0], &one, sizeof one) == sizeof one) last = one;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  while (::read(told[0], &one, sizeof one) == sizeof one) last = one;
  ::close(told[0]);
  std::vector<std::string> damages;
  const std::vector<std::uint64_t> kept = numbers(directory / "calls", &damages);
  EXPECT_GE(kept.size(), last + 1);
  EXPECT_LE(damages.size(), 1u);
  // And the next one goes on.
  {
    Recorder recorder(directory / "calls", kPlenty, [](const std::string&) {});
    add(recorder, head_of("policy"));
  }
  EXPECT_EQ(numbers(directory / "calls", &damages).back(), kept.size() + 1);
}

TEST(RecorderTest, WhereItCannotWriteThereIsNone) {
  TemporaryDirectory directory;
  std::ofstream(directory / "file") << "no directory";
  expect_error(ErrorCode::kIo, {(directory / "file").string()},
               [&] { Recorder(directory / "file", kPlenty, [](const std::string&) {}); });
}

TEST(RecorderTest, AFullDiskEndsItInOneSentence) {
  TemporaryDirectory directory;
  Said said;
  {
    const FilesUpTo little(100'000);
    Recorder recorder(directory / "calls", kPlenty, said.function());
    const auto head = head_of("policy");
    for (std::uint64_t i = 1; i <= 200; ++i) {
      add(recorder, head);
      wait_for([&] { return recorder.written() + recorder.dropped() == i; });
    }
    EXPECT_GT(recorder.written(), 0u);
    EXPECT_GT(recorder.dropped(), 0u);
  }
  ASSERT_EQ(said.sentences().size(), 1u);
  EXPECT_NE(said.sentences()[0].find("recording has ended"), std::string::npos);
  std::vector<std::string> damages;
  EXPECT_GT(numbers(directory / "calls", &damages).size(), 50u) << "what was written is there";
  EXPECT_EQ(damages.size(), 1u);
}

TEST(RecorderTest, TwoDoNotRecordIntoOneDirectory) {
  TemporaryDirectory directory;
  const auto say = [](const std::string&) {};
  Recorder first(directory.path(), kPlenty, say);
  expect_error(ErrorCode::kIo, {directory.path().string(), "another server"},
               [&] { Recorder(directory.path(), kPlenty, say); });
}

TEST(RecorderTest, WhatComesTooFastIsDroppedAndNobodyWaits) {
  TemporaryDirectory directory;
  Recorder recorder(directory.path(), kPlenty, [](const std::string&) {});
  const auto head = head_of("policy");
  std::mutex held;
  held.lock();
  recorder.add(head, 0, [&] {
    const std::lock_guard wait(held);
    return call_of(1);
  });
  for (int i = 0; i < 200; ++i) {  // 200 MiB, as far as it is told
    recorder.add(head, 1 << 20, [] { return call_of(2); });
  }
  EXPECT_GE(recorder.dropped(), 70u);
  EXPECT_LE(recorder.dropped(), 73u);
  held.unlock();
  wait_for([&] { return recorder.written() + recorder.dropped() == 201; });
}

TEST(RecorderTest, WhatIsDamagedIsToldAndTheRestRead) {
  TemporaryDirectory directory;
  {
    Recorder recorder(directory.path(), kPlenty, [](const std::string&) {});
    const auto head = head_of("policy");
    for (int i = 0; i < 3; ++i) add(recorder, head);
  }
  const std::filesystem::path path = record_files(directory.path()).at(0).path;
  const std::string whole = read_file(path);
  std::vector<std::string> damages;
  const auto with = [&](const std::string& contents) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
    damages.clear();
    return numbers(directory.path(), &damages);
  };
  using Numbers = std::vector<std::uint64_t>;
  EXPECT_EQ(with(whole), (Numbers{1, 2, 3}));
  EXPECT_TRUE(damages.empty());
  EXPECT_EQ(with(whole.substr(0, whole.size() - 1)), (Numbers{1, 2}));
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_NE(damages[0].find("amid a call"), std::string::npos) << damages[0];
  EXPECT_NE(damages[0].find(path.string()), std::string::npos) << damages[0];
  std::string one_off = whole;
  one_off[one_off.find(std::string(100, '\2'))] = '\3';  // in the second's message
  EXPECT_EQ(with(one_off), (Numbers{1, 3}));
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_NE(damages[0].find("damaged"), std::string::npos) << damages[0];
  for (const std::string& foreign :
       {std::string(), std::string("no msgpack"), std::string(15, '\xff')}) {
    expect_error(ErrorCode::kInvalidInput, {path.string(), "pi0 serve --record"},
                 [&] { with(foreign); });
  }
  for (std::size_t size = 0; size < whole.size(); size += 29) {  // wherever it is cut
    try {
      with(whole.substr(0, size));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace pi0
