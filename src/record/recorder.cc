#include "record/recorder.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "files/descriptor.h"
#include "record/frames.h"
#include "record/record_files.h"

namespace pi0 {
namespace {

constexpr std::size_t kMostWaiting = std::size_t{128} << 20;  // bytes
constexpr std::uint64_t kMostOfAFile = std::uint64_t{64} << 20;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what, int error) {
  throw Error(ErrorCode::kIo, fmt::format("{}: {}: {}", path.string(), what, std::strerror(error)));
}

void write_all(const Descriptor& file, std::span<const std::byte> bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot be written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

// The directory: the file that is written, and those before it.
class Recorder::Files {
 public:
  Files(std::filesystem::path directory, std::uint64_t bytes)
      : directory_(std::move(directory)),
        most_(bytes),
        most_of_a_file_(std::min(kMostOfAFile, bytes / 8)),
        lock_(make(directory_), O_RDONLY | O_DIRECTORY) {
    if (!lock_) fail(directory_, "cannot be opened", errno);
    if (::access(directory_.c_str(), W_OK) != 0) fail(directory_, "cannot be written", errno);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail(directory_, "cannot be locked", errno);
      throw Error(ErrorCode::kIo, directory_.string() + ": another server records there");
    }
    for (const RecordFileName& file : record_files(directory_)) {
      std::error_code ignored;
      const std::uint64_t size = std::filesystem::file_size(file.path, ignored);
      files_.push_back({file.path, ignored ? 0 : size});
      total_ += files_.back().size;
      next_ = file.first + 1;
    }
    if (!files_.empty()) next_ = std::max(next_, after_last(files_.back().path, next_ - 1));
  }

  std::uint64_t next_number() const { return next_; }

  // Whether there was room for it at all.
  bool write(const std::shared_ptr<const RecordHead>& head, const RecordedCall& call) {
    const std::vector<std::byte> payload = encode_call(call);
    if (payload.size() > kMostOfAFrame) return false;
    if (file_ && (head != head_ || files_.back().size + payload.size() > most_of_a_file_)) {
      file_.reset();
    }
    const std::vector<std::byte> beginning = encode_head(*head);
    const std::uint64_t needed = payload.size() + beginning.size() + 2 * kFramePrefix;
    if (needed > most_) return false;
    make_room(needed);
    if (!file_) {
      begin(call.number);
      append(beginning);
      head_ = head;
    }
    append(payload);
    return true;
  }

 private:
  struct File {
    std::filesystem::path path;
    std::uint64_t size;
  };

  static const std::filesystem::path& make(const std::filesystem::path& directory) {
    std::error_code error;
    if (directory.has_parent_path()) {
      std::filesystem::create_directories(directory.parent_path(), error);
    }
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      fail(directory, "cannot be made", errno);
    }
    return directory;
  }

  // A server that was killed may have left a file whose end cannot be read.
  static std::uint64_t after_last(const std::filesystem::path& path, std::uint64_t first) {
    try {
      const RecordFile file = read_record_file(path, [](const std::string&) {});
      if (!file.calls.empty()) return decode_call(file.calls.back()).number + 1;
    } catch (const Error&) {
    }
    return first + 1;
  }

  void make_room(std::uint64_t needed) {
    while (total_ + needed > most_ && !files_.empty()) {
      if (files_.size() == 1) file_.reset();
      if (::unlink(files_.front().path.c_str()) != 0 && errno != ENOENT) {
        fail(files_.front().path, "cannot be removed", errno);
      }
      total_ -= files_.front().size;
      files_.pop_front();
    }
  }

  void begin(std::uint64_t first) {
    const std::filesystem::path path = directory_ / record_file_name(first);
    file_.emplace(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!*file_) fail(path, "cannot be written", errno);
    files_.push_back({path, 0});
  }

  // Whole, as far as a reader of the file can tell.
  void append(std::span<const std::byte> payload) {
    const auto prefix = frame_prefix(payload);
    std::vector<std::byte> frame;
    frame.reserve(prefix.size() + payload.size());
    frame.insert(frame.end(), prefix.begin(), prefix.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    write_all(*file_, frame, files_.back().path);
    files_.back().size += frame.size();
    total_ += frame.size();
  }

  const std::filesystem::path directory_;
  const std::uint64_t most_, most_of_a_file_;
  const Descriptor lock_;
  std::deque<File> files_;  // the oldest first
  std::uint64_t total_ = 0;
  std::uint64_t next_ = 1;
  std::optional<Descriptor> file_;  // the last of them; none: another is to be begun
  std::shared_ptr<const RecordHead> head_;
};

Recorder::Recorder(const std::filesystem::path& directory, std::uint64_t bytes,
                   std::function<void(const std::string&)> say)
    : say_(std::move(say)),
      files_(std::make_unique<Files>(directory, bytes)),
      next_(files_->next_number()),
      thread_([this] { work(); }) {}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Recorder::add(std::shared_ptr<const RecordHead> head, std::size_t bytes,
                   std::function<RecordedCall()> make) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || waiting_bytes_ + bytes > kMostWaiting) {
      ++dropped_;
      return;
    }
    waiting_.push_back({std::move(head), bytes, std::move(make)});
    waiting_bytes_ += bytes;
  }
  changed_.notify_all();
}

void Recorder::work() {
  for (;;) {
    Waiting next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return leaving_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    bool wrote = false;
    std::string failure;
    try {
      wrote = files_->write(next.head, next.make());
    } catch (const std::exception& error) {
      failure = error.what();
    }
    ++(wrote ? written_ : dropped_);
    std::deque<Waiting> left;
    {
      const std::lock_guard lock(mutex_);
      waiting_bytes_ -= next.bytes;
      if (!failure.empty()) {
        ended_ = true;
        left.swap(waiting_);
      }
    }
    if (failure.empty()) continue;
    dropped_ += left.size();
    say_(fmt::format("recording has ended, serving goes on: {}", failure));
    return;
  }
}

}  // namespace pi0
