// Keeps a server's calls in files, on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "record/recorded_call.h"

namespace pi0 {

// Never throws, and never makes its caller wait: what cannot be written is a sentence to `say`, the
// first time, and ends the recording; calls that come faster than they are written are dropped and
// counted. Each is handed to the system whole before the next is begun, so that a process which is
// killed loses those that still wait and at most the one that is being written.
class Recorder {
 public:
  // `directory` is made where it is not there (0700; files 0600, whatever the umask). All record
  // files in it, of earlier servers too, take at most `bytes`: the oldest go. `say` is called on
  // the recorder's thread. Throws Error (kIo) where the directory cannot be used, or another
  // server's recorder has it.
  Recorder(const std::filesystem::path& directory, std::uint64_t bytes,
           std::function<void(const std::string&)> say);
  ~Recorder();  // writes what waits
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // From one thread: the number of the next call, whether it is then added or not.
  std::uint64_t next_number() { return next_++; }

  // `make` is called later, on the recorder's thread. `bytes`: about what it holds on to until
  // then. Calls with another `head` go into another file.
  void add(std::shared_ptr<const RecordHead> head, std::size_t bytes,
           std::function<RecordedCall()> make);

  std::uint64_t written() const { return written_; }
  std::uint64_t dropped() const { return dropped_; }  // also those after it has ended

 private:
  struct Waiting {
    std::shared_ptr<const RecordHead> head;
    std::size_t bytes;
    std::function<RecordedCall()> make;
  };
  class Files;

  void work();

  const std::function<void(const std::string&)> say_;
  std::unique_ptr<Files> files_;  // of the thread; nullptr once recording has ended
  std::uint64_t next_ = 1;
  std::atomic<std::uint64_t> written_ = 0, dropped_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool ended_ = false;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace pi0
