// Computes calls in the order of their arrival, on whichever device is free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "serve/call.h"
#include "serve/latencies.h"
#include "serve/model.h"
#include "serve/options.h"
#include "serve/shared_batch.h"

namespace pi0 {

// A thread for each device, which loads the policy there, calls it until its calls take as long as
// they will (a card compiles at first), and then computes what clients ask. Where no call waits,
// devices that are free help with a call of several observations. All may be called from any
// thread.
class Dispatcher {
 public:
  struct Events {
    std::function<void()> ready = {};  // on every device; again after a reload
    // A device could not be loaded at first, or none of them again after a reload that failed.
    // What waits is refused, and there is nothing more that it could do.
    std::function<void(std::exception_ptr)> failed = {};
    std::function<void(const Progress&)> progress = {};  // of the first device's loading
  };

  Dispatcher(const ServerOptions& options, std::shared_ptr<const ServedModel> model, Events events);
  ~Dispatcher();  // as drain, and waits

  // `call->done` is called once, soon if it is refused, on a thread of the dispatcher's or here.
  void submit(std::shared_ptr<Call> call);

  // Serves another checkpoint as soon as it is loaded; until then, and where it cannot be, the one
  // before. On a device that cannot hold both, that one is given up first and calls wait. Begins
  // once every device has loaded its first, returns when it is done. Throws Error where the new one
  // could not be loaded; that names the devices which the one before could not be put back on.
  void reload(std::shared_ptr<const ServedModel> model);

  // Refuses what is submitted or waits; what is computed is finished.
  void drain();

  bool ready() const;
  std::size_t waiting() const;
  int computing() const;
  // Devices, as they say themselves and in the options' order; empty where one is not loaded.
  std::vector<std::string> devices() const;
  std::shared_ptr<const ServedModel> model() const;

 private:
  struct Worker {
    DeviceOptions device;
    std::shared_ptr<const Policy> policy;  // under the mutex
    std::thread thread;
  };
  struct OpenBatch {
    std::shared_ptr<SharedBatch> batch;
    std::uint64_t generation = 0;  // of the policy that computes it
  };
  void work(Worker& worker);
  void fail(std::exception_ptr error);
  std::shared_ptr<const Policy> load(Worker& worker, const ServedModel& model, bool report);
  // Loads it where there is none. What is said of the devices that it could not be loaded on.
  std::vector<std::string> restore(const ServedModel& model);
  void warm_up(const Policy& policy, const ServedModel& model);
  std::variant<CallResult, CallError> compute(Session& session, const Policy& policy, Call& call,
                                              std::uint64_t generation);
  // As compute_call and Session::last_chunk, with the help of whichever device is free.
  std::pair<CallResult, LastChunk> compute_together(Session& session, const Call& call,
                                                    std::uint64_t generation,
                                                    const std::function<void()>& ask);
  std::shared_ptr<SharedBatch> batch_to_help_with() const;  // under the mutex; null: none
  SampleOptions sample_options(const Call& call);

  const ServerOptions options_;
  const Events events_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const ServedModel> model_;
  std::uint64_t generation_ = 1;
  std::deque<std::shared_ptr<Call>> queue_;
  std::vector<OpenBatch> batches_;  // that a worker computes and others may help with
  int computing_ = 0;
  std::size_t first_loads_ = 0;  // that have not ended
  bool draining_ = false;
  Latencies latencies_;
  std::vector<Worker> workers_;
  std::mutex reloading_;
};

}  // namespace pi0
