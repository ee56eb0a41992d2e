#include "serve/dispatcher.h"

#include <fmt/format.h>
#include <pthread.h>

#include <cmath>
#include <random>
#include <tuple>

#include "host/scheduling.h"
#include "serve/compute.h"
#include "serve/protocol.h"

namespace pi0 {
namespace {

// Out of a call by way of its progress function.
struct Stopped {
  const char* code;
};

CallError error_of(const char* code) {
  const std::string_view name = code;
  if (name == "superseded") return {code, "a later request of this client took its place"};
  if (name == "stale") return {code, "its deadline passed before its actions were there"};
  if (name == "stopping") return {code, "the server is stopping"};
  return {code, "the client has left"};
}

// What it may go on from. The robot executes its last chunk whatever is loaded meanwhile: of
// another policy's, the actions hold, unless they are of other joints.
LastChunk last_chunk_of(const Call& call, std::uint64_t generation) {
  const Caller& caller = *call.caller;
  LastChunk last;
  if (call.options.reset) return last;
  if (caller.generation == generation) return caller.last;
  if (caller.action_dims == call.model->checkpoint.info().action_dims) {
    last.actions = caller.last.actions;
  }
  return last;
}

bool is_stale(const Call& call) {
  return call.options.deadline_ms &&
         ms_between(call.arrived, Clock::now()) > *call.options.deadline_ms;
}

std::uint64_t new_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

Dispatcher::Dispatcher(const ServerOptions& options, std::shared_ptr<const ServedModel> model,
                       Events events)
    : options_(options), events_(std::move(events)), model_(std::move(model)) {
  for (const DeviceOptions& device : options_.devices) workers_.push_back({device, {}, {}});
  first_loads_ = workers_.size();
  for (Worker& worker : workers_) {
    worker.thread = std::thread([this, &worker] { work(worker); });
  }
}

Dispatcher::~Dispatcher() {
  drain();
  for (Worker& worker : workers_) worker.thread.join();
}

void Dispatcher::submit(std::shared_ptr<Call> call) {
  std::optional<CallError> refused;
  {
    const std::lock_guard lock(mutex_);
    if (draining_) {
      refused = error_of("stopping");
    } else if (queue_.size() >= static_cast<std::size_t>(options_.limits.queue)) {
      refused = {"busy",
                 fmt::format("{} calls are waiting, which is all that this server lets wait",
                             queue_.size())};
    } else {
      queue_.push_back(call);
    }
  }
  if (refused) {
    call->done(*std::move(refused));
  } else {
    changed_.notify_all();
  }
}

void Dispatcher::drain() {
  std::deque<std::shared_ptr<Call>> refused;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    refused.swap(queue_);
  }
  changed_.notify_all();
  for (const std::shared_ptr<Call>& call : refused) call->done(error_of("stopping"));
}

bool Dispatcher::ready() const {
  const std::lock_guard lock(mutex_);
  // One that lost its policy in a reload leaves the others' calls to them.
  const auto serves = [](const Worker& worker) { return worker.policy != nullptr; };
  return !draining_ && first_loads_ == 0 &&
         (workers_.empty() || std::any_of(workers_.begin(), workers_.end(), serves));
}

std::size_t Dispatcher::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

int Dispatcher::computing() const {
  const std::lock_guard lock(mutex_);
  return computing_;
}

std::vector<std::string> Dispatcher::devices() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const Worker& worker : workers_) {
    names.push_back(worker.policy ? worker.policy->network().device() : "");
  }
  return names;
}

std::shared_ptr<const ServedModel> Dispatcher::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

void Dispatcher::fail(std::exception_ptr error) {
  drain();
  if (events_.failed) events_.failed(std::move(error));
}

std::shared_ptr<const Policy> Dispatcher::load(Worker& worker, const ServedModel& model,
                                               bool report) {
  DeviceOptions device = worker.device;
  device.progress = [this, report](const Progress& progress) {
    {
      const std::lock_guard lock(mutex_);
      if (draining_) throw Stopped{"stopping"};
    }
    if (report && events_.progress) events_.progress(progress);
  };
  auto policy = std::make_shared<const Policy>(model.checkpoint.load(device));
  warm_up(*policy, model);
  return policy;
}

// Until a call takes about as long as the one before.
void Dispatcher::warm_up(const Policy& policy, const ServedModel& model) {
  Observation observation{.renamed = true};
  const int size = policy.network().info().image_size;
  for (const CameraInfo& camera : policy.info().cameras) {
    if (camera.empty) continue;
    observation.images[camera.name] = {
        size, size, std::vector<std::uint8_t>(std::size_t{3} * size * size, 128)};
  }
  const int dims = model.checkpoint.info().state_dims;
  observation.state.assign(
      static_cast<std::size_t>(dims != 0 ? dims : policy.network().info().state_dim), 0.0f);
  observation.prompt = options_.prompt.value_or("warm up");
  SampleOptions sample = options_.sample;
  sample.seed = 0;
  sample.progress = [this](const Progress&) {
    const std::lock_guard lock(mutex_);
    if (draining_) throw Stopped{"stopping"};
  };
  Session session = policy.session();
  double before = 0;
  for (int call = 0; call < 4; ++call) {
    const double ms = session.infer(observation, sample).timing.total_ms;
    if (call > 0 && ms > 0.8 * before) {
      const std::lock_guard lock(mutex_);
      if (latencies_.empty()) latencies_.add(ms);
      return;
    }
    before = ms;
  }
}

void Dispatcher::work(Worker& worker) {
  const bool first = &worker == &workers_.front();
  try {
    cpu::apply({worker.device.affinity, worker.device.priority}, 0, pthread_self());
    const std::shared_ptr<const ServedModel> model = this->model();
    std::shared_ptr<const Policy> policy = load(worker, *model, first);
    const std::lock_guard lock(mutex_);
    worker.policy = std::move(policy);
    --first_loads_;
  } catch (const Stopped&) {
    return;
  } catch (...) {
    return fail(std::current_exception());
  }
  changed_.notify_all();
  if (ready() && events_.ready) events_.ready();

  std::shared_ptr<const Policy> policy;
  std::optional<Session> session;
  for (;;) {
    std::shared_ptr<Call> call;
    std::uint64_t generation = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        return draining_ || policy != worker.policy ||
               (worker.policy && (!queue_.empty() || batch_to_help_with()));
      });
      if (policy != worker.policy) {  // another is served from now on, or none
        std::shared_ptr<const Policy> next = worker.policy;
        lock.unlock();  // a session ends under its network's lock, which calls hold for long
        session.reset();
        policy = std::move(next);
        if (policy) session.emplace(policy->session());
        lock.lock();
        changed_.notify_all();  // the one before is nobody's any more
        continue;
      }
      if (draining_) return;
      if (queue_.empty()) {
        const std::shared_ptr<SharedBatch> batch = batch_to_help_with();
        lock.unlock();
        batch->compute_one(*session);
        continue;
      }
      call = std::move(queue_.front());
      queue_.pop_front();
      ++computing_;
      generation = generation_;
      call->model = model_;
    }
    std::variant<CallResult, CallError> outcome = compute(*session, *policy, *call, generation);
    {
      const std::lock_guard lock(mutex_);
      --computing_;
      if (std::holds_alternative<CallResult>(outcome) && !call->batch) {
        latencies_.add(ms_between(call->arrived, Clock::now()));
      }
    }
    call->done(std::move(outcome));
  }
}

SampleOptions Dispatcher::sample_options(const Call& call) {
  SampleOptions sample = call.options.sample;
  if (sample.steps == 0) sample.steps = options_.sample.steps;
  if (!sample.seed && sample.noise.empty()) {
    sample.seed = options_.sample.seed ? *options_.sample.seed : new_seed();
  }
  if (call.options.rtc) {
    sample.rtc = call.options.rtc->rtc;
    if (!call.options.rtc->delay_given) {
      // A robot whose chunks come later than that holds its last action: one row goes out at least.
      const double horizon = call.model->checkpoint.info().action_horizon;
      const std::lock_guard lock(mutex_);
      sample.rtc->inference_delay = static_cast<int>(
          std::ceil(std::min(latencies_.longest() * call.options.rtc->hz / 1000, horizon - 1.0)));
    }
  }
  return sample;
}

std::variant<CallResult, CallError> Dispatcher::compute(Session& session, const Policy& policy,
                                                        Call& call, std::uint64_t generation) {
  const Clock::time_point begin = Clock::now();
  const auto ask = [&call] {
    if (const char* const code = call.cancelled) throw Stopped{code};
    if (is_stale(call)) throw Stopped{"stale"};
  };
  try {
    try {
      call.observations = read_observations(call.model->robot, options_.prompt,
                                            {.most = options_.limits.file_pixels}, call, ask);
    } catch (const Error& error) {
      return CallError{"invalid", error.what()};
    }
    Caller& caller = *call.caller;
    call.basis = {sample_options(call), last_chunk_of(call, generation)};
    CallResult result;
    if (call.observations.size() > 1 && workers_.size() > 1) {
      std::tie(result, caller.last) = compute_together(session, call, generation, ask);
    } else {
      result = compute_call(session, call.observations, *call.basis, ask);
      caller.last = session.last_chunk();
    }
    caller.generation = generation;
    caller.action_dims = call.model->checkpoint.info().action_dims;
    result.queue_ms = ms_between(call.arrived, begin);
    result.infer_ms = ms_between(begin, Clock::now());
    result.device = policy.network().device();
    result.least_correlation = policy.network().info().least_correlation;
    if (call.basis->sample.rtc) result.assumed_delay = call.basis->sample.rtc->inference_delay;
    return result;
  } catch (const Stopped& stopped) {
    return error_of(stopped.code);
  } catch (const Error& error) {
    return CallError{code_of(error.code()), error.what()};
  } catch (const std::bad_alloc&) {
    return CallError{"internal", "out of memory"};
  } catch (const std::exception& error) {
    return CallError{"internal", std::string("unexpected: ") + error.what()};
  }
}

std::pair<CallResult, LastChunk> Dispatcher::compute_together(Session& session, const Call& call,
                                                              std::uint64_t generation,
                                                              const std::function<void()>& ask) {
  const auto batch = std::make_shared<SharedBatch>(call, *call.basis, ask);
  {
    const std::lock_guard lock(mutex_);
    batches_.push_back({batch, generation});
  }
  changed_.notify_all();
  while (batch->compute_one(session)) {
  }
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(batches_, [&](const OpenBatch& open) { return open.batch == batch; });
  }
  return batch->result();
}

std::shared_ptr<SharedBatch> Dispatcher::batch_to_help_with() const {
  for (const OpenBatch& open : batches_) {
    if (open.generation == generation_ && open.batch->open()) return open.batch;
  }
  return nullptr;
}

std::vector<std::string> Dispatcher::restore(const ServedModel& model) {
  std::vector<std::string> lost;
  for (Worker& worker : workers_) {
    {
      const std::lock_guard lock(mutex_);
      if (worker.policy) continue;
    }
    try {
      std::shared_ptr<const Policy> policy = load(worker, model, false);
      const std::lock_guard lock(mutex_);
      worker.policy = std::move(policy);
    } catch (const std::exception& error) {
      lost.push_back(fmt::format("{}: {}", worker.device.device, error.what()));
    }
    changed_.notify_all();
  }
  return lost;
}

void Dispatcher::reload(std::shared_ptr<const ServedModel> model) {
  const std::lock_guard one(reloading_);
  {
    std::unique_lock lock(mutex_);  // a first load that ends later would take the place of this one
    changed_.wait(lock, [this] { return first_loads_ == 0 || draining_; });
    if (draining_) throw Stopped{"stopping"};
  }
  const std::shared_ptr<const ServedModel> before = this->model();
  std::vector<std::shared_ptr<const Policy>> loaded;
  const auto give_up = [this](Worker& worker) {  // and wait until its worker has let go of it
    std::unique_lock lock(mutex_);
    const std::weak_ptr<const Policy> old = worker.policy;
    worker.policy.reset();
    changed_.notify_all();
    changed_.wait(lock, [&] { return old.expired() || draining_; });
  };
  try {
    for (Worker& worker : workers_) {
      try {
        loaded.push_back(load(worker, *model, false));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kInvalidCheckpoint) throw;
        give_up(worker);  // there is no room for both
        loaded.push_back(load(worker, *model, false));
      }
    }
  } catch (const std::exception& error) {
    loaded.clear();
    const std::vector<std::string> lost = restore(*before);
    if (lost.empty()) throw;
    std::string sentence = error.what();
    const bool all = lost.size() == workers_.size();
    for (const std::string& one : lost) {
      sentence += (all ? "; what was served before is lost on " : "; but no longer on ") + one;
    }
    const Error told(ErrorCode::kUnsupported, sentence);
    if (all) fail(std::make_exception_ptr(told));
    throw told;
  }
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i].policy = std::move(loaded[i]);
    model_ = std::move(model);
    ++generation_;
  }
  changed_.notify_all();
  if (events_.ready) events_.ready();
}

}  // namespace pi0
