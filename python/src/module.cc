// libpi0._core: what libpi0's Python calls. Its own users are python/libpi0/*.py alone, which say
// what everything means.
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <future>
#include <mutex>
#include <utility>

#include "calls.h"
#include "pi0/client.h"
#include "pi0/device.h"
#include "pi0/version.h"

namespace pi0 {
namespace {

using namespace nb::literals;
using Path = std::filesystem::path;

void throw_in_python(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    const char* const names[] = {
        "InvalidCheckpointError", "InvalidInputError", "IoError",     "UnsupportedError",
        "OutOfMemoryError",       "LimitError",        "ServerError", "NotFiniteError"};
    const nb::object type =
        nb::module_::import_("libpi0._errors").attr(names[static_cast<int>(error.code())]);
    PyErr_SetString(type.ptr(), error.what());
  }
}

nb::dict to_dict(const NetworkInfo& network) {
  nb::dict result;
  result["num_cameras"] = network.num_cameras;
  result["image_size"] = network.image_size;
  result["max_tokens"] = network.max_tokens;
  result["vocab_size"] = network.vocab_size;
  result["state_dim"] = network.state_dim;
  result["action_dim"] = network.action_dim;
  result["action_horizon"] = network.action_horizon;
  result["num_steps"] = network.num_steps;
  result["rtc_training_max_delay"] = network.rtc_training_max_delay;
  result["least_correlation"] = network.least_correlation;
  return result;
}

// Under which a robot tells what.
void add_keys(const RobotKeys& keys, nb::dict& result) {
  result["image_keys"] = nb::tuple(nb::cast(keys.images()));
  result["state_keys"] = nb::tuple(nb::cast(keys.state()));
  result["prompt_key"] = keys.prompt();
}

// An observation, which lies where Python has it.
struct Seen {
  Values values;
  RobotObservation observation;
};

class PySession {
 public:
  PySession(Session session, const RobotKeys& keys)
      : session_("Session", std::make_unique<Session>(std::move(session))), keys_(keys) {}

  nb::dict infer(nb::handle observation, std::optional<std::string> prompt, int steps,
                 std::optional<std::uint64_t> seed, nb::handle noise, nb::handle rtc,
                 bool time_stages, nb::object callback);
  void prefetch(nb::handle observation, std::optional<std::string> prompt);
  nb::object last_chunk();
  void set_last_chunk(nb::handle last);

 private:
  OfThisProcess<Session> session_;
  RobotKeys keys_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
};

Seen see(const RobotKeys& keys, nb::handle observation, const std::optional<std::string>& prompt) {
  Seen seen{to_values(observation), {}};
  seen.observation = keys.observation(seen.values.values, prompt);
  copies() += seen.observation.pixels.size() + seen.observation.observation.images.size();
  return seen;
}

class PyPolicy {
 public:
  PyPolicy(const Path& checkpoint, DeviceOptions device, const CheckpointOptions& options,
           const std::string& robot, const Path& keys, nb::object callback)
      : policy_("Policy", load(checkpoint, std::move(device), options, callback)),
        keys_(keys.empty() ? RobotKeys::find(robot, policy_->info())
                           : RobotKeys::read(keys, policy_->info())) {}

  PySession session() const { return {policy_->session(), keys_}; }

  nb::list infer_batch(nb::handle observations, std::optional<std::string> prompt, int steps,
                       std::optional<std::uint64_t> seed, nb::handle noise, bool time_stages,
                       nb::object callback) const {
    std::deque<Seen> seen;
    std::vector<Observation> all;
    for (nb::handle observation : observations) {
      const std::string which = "observations[" + std::to_string(seen.size()) + "]: ";
      try {
        seen.push_back(see(keys_, observation, prompt));
      } catch (const Error& error) {
        throw Error(error.code(), which + error.what());
      }
      all.push_back(std::move(seen.back().observation.observation));
    }
    SampleOptions options = to_sample_options(steps, seed, noise, nb::none(), time_stages);
    options.progress = to_progress(callback);
    const Policy& policy = *policy_;
    std::vector<ActionChunk> chunks;
    {
      const nb::gil_scoped_release released;
      chunks = policy.infer(all, options);
    }
    nb::list result;
    for (ActionChunk& chunk : chunks) {
      const int dims = keys_.action_dims(chunk.dims);
      result.append(to_dict(std::move(chunk), dims));
    }
    return result;
  }

  nb::dict info() const {
    const PolicyInfo& info = policy_->info();
    const int dims = keys_.action_dims(info.action_dims);
    nb::dict result;
    nb::list cameras, names;
    for (const CameraInfo& camera : info.cameras) {
      if (!camera.empty) cameras.append(camera.name);
    }
    for (int i = 0; i < std::min(dims, static_cast<int>(info.action_names.size())); ++i) {
      names.append(info.action_names[static_cast<std::size_t>(i)]);
    }
    result["kind"] = info.kind;
    result["family"] = info.family;
    result["cameras"] = nb::tuple(cameras);
    result["state_dims"] = info.state_dims;
    result["action_dims"] = dims;
    result["action_horizon"] = info.action_horizon;
    result["n_action_steps"] = info.n_action_steps;
    result["num_steps"] = info.num_steps;
    result["action_names"] = nb::tuple(names);
    add_keys(keys_, result);
    result["device"] = policy_->network().device();
    result["network"] = to_dict(policy_->network().info());
    return result;
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> all = policy_->info().warnings;
    for (const auto& more : {policy_->network().info().warnings, keys_.warnings(policy_->info())}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }

 private:
  static std::unique_ptr<Policy> load(const Path& checkpoint, DeviceOptions device,
                                      const CheckpointOptions& options, nb::handle callback) {
    device.progress = to_progress(callback);
    const nb::gil_scoped_release released;
    return std::make_unique<Policy>(Policy::load(checkpoint, device, options));
  }

  OfThisProcess<Policy> policy_;
  RobotKeys keys_;
};

nb::dict PySession::infer(nb::handle observation, std::optional<std::string> prompt, int steps,
                          std::optional<std::uint64_t> seed, nb::handle noise, nb::handle rtc,
                          bool time_stages, nb::object callback) {
  Session& session = *session_;
  const Seen seen = see(keys_, observation, prompt);
  SampleOptions options = to_sample_options(steps, seed, noise, rtc, time_stages);
  options.progress = to_progress(callback);
  ActionChunk chunk;
  {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(*mutex_);
    chunk = session.infer(seen.observation.observation, options);
  }
  const int dims = keys_.action_dims(chunk.dims);
  return to_dict(std::move(chunk), dims);
}

void PySession::prefetch(nb::handle observation, std::optional<std::string> prompt) {
  Session& session = *session_;
  const Seen seen = see(keys_, observation, prompt);
  const nb::gil_scoped_release released;
  const std::lock_guard lock(*mutex_);
  session.prefetch(seen.observation.observation);
}

nb::object PySession::last_chunk() {
  const Session& session = *session_;
  LastChunk last;
  {
    const nb::gil_scoped_release released;
    const std::lock_guard lock(*mutex_);
    last = session.last_chunk();
  }
  if (last.actions.empty()) return nb::none();
  const auto array = [](std::vector<float> values) {
    const std::size_t size = values.size();
    return to_numpy(std::move(values), {size});
  };
  nb::dict result;
  result["actions"] = array(std::move(last.actions));
  result["model_actions"] = array(std::move(last.model_actions));
  result["state"] = array(std::move(last.state));
  result["preceding"] = array(std::move(last.preceding));
  result["begun"] = last.begun;
  return result;
}

void PySession::set_last_chunk(nb::handle from) {
  Session& session = *session_;
  LastChunk last;
  if (!from.is_none()) {
    const nb::object mapping = nb::borrow(from);
    last.actions = to_floats(mapping["actions"], "actions");
    last.model_actions = to_floats(mapping["model_actions"], "model_actions");
    last.state = to_floats(mapping["state"], "state");
    last.preceding = to_floats(mapping["preceding"], "preceding");
    last.begun = nb::cast<int>(mapping["begun"]);
  }
  const nb::gil_scoped_release released;
  const std::lock_guard lock(*mutex_);
  session.set_last_chunk(std::move(last));
}

// lerobot's keys for a server's cameras, with those of its own that are lerobot's too, as its
// checkpoint renames them; or those of the robot that it serves.
RobotKeys keys_for(const std::string& robot, const Client& client) {
  const RobotKeys served = client.keys();
  if (robot != "none") return served;
  PolicyInfo policy;
  policy.family = "lerobot";
  for (const std::string& camera : client.info().cameras) {
    policy.cameras.push_back({"observation.images." + camera, camera});
  }
  for (const std::string& key : served.images()) {
    if (!key.starts_with("observation.images.")) continue;
    policy.rename_map[key] = "observation.images." + served.camera(key);
  }
  return RobotKeys::find(robot, policy);
}

class PyClient {
 public:
  explicit PyClient(const ClientOptions& options)
      : client_("Client", connect(options)), keys_(keys_for(options.robot, *client_)) {}

  nb::dict infer(nb::handle observation, std::optional<std::string> prompt, int steps,
                 std::optional<std::uint64_t> seed, nb::handle noise, nb::handle rtc, double hz,
                 double deadline_ms, bool latest) {
    Client& client = *client_;
    const Seen seen = see(keys_, observation, prompt);
    const ClientCall call{.sample = to_sample_options(steps, seed, noise, rtc, true),
                          .hz = hz,
                          .deadline_ms = deadline_ms,
                          .latest = latest};
    ServedChunk chunk;
    {
      const auto look = to_progress(nb::none());
      const nb::gil_scoped_release released;
      std::future<ServedChunk> future = client.infer_async(seen.observation.observation, call);
      while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) look({});
      chunk = future.get();
    }
    nb::dict server;
    server["infer_ms"] = chunk.server_ms;
    server["queue_ms"] = chunk.queue_ms;
    server["round_trip_ms"] = chunk.round_trip_ms;
    server["reconnects"] = chunk.reconnects;
    server["device"] = chunk.device;
    const int dims = chunk.dims;  // the server sent the robot's
    nb::dict result = pi0::to_dict(std::move(static_cast<ActionChunk&>(chunk)), dims);
    result["server_timing"] = server;
    return result;
  }
  void reset() {
    Client& client = *client_;
    const nb::gil_scoped_release released;
    client.reset();
  }
  nb::dict info() const {
    const ServerInfo info = client_->info();
    nb::dict result;
    result["metadata"] = info.metadata;
    result["version"] = info.version;
    result["kind"] = info.kind;
    result["cameras"] = nb::tuple(nb::cast(info.cameras));
    result["state_dims"] = info.state_dims;
    result["action_dims"] = info.action_dims;
    result["action_horizon"] = info.action_horizon;
    result["n_action_steps"] = info.n_action_steps;
    result["action_names"] = nb::tuple(nb::cast(info.action_names));
    result["devices"] = nb::tuple(nb::cast(info.devices));
    add_keys(keys_, result);
    return result;
  }

 private:
  static std::unique_ptr<Client> connect(ClientOptions options) {
    if (options.robot == "none") options.robot.clear();
    const nb::gil_scoped_release released;
    return std::make_unique<Client>(options);
  }

  OfThisProcess<Client> client_;
  RobotKeys keys_;
};

nb::list devices() {
  nb::list result;
  for (const DeviceInfo& device : available_devices()) {
    result.append(nb::make_tuple(device.name, device.description, device.absent));
  }
  return result;
}

}  // namespace
}  // namespace pi0

NB_MODULE(_core, module) {
  using namespace pi0;
  nb::register_exception_translator(throw_in_python);
  module.attr("__version__") = version();
  module.def("devices", &devices);
  module.def("copies", [] { return copies(); });
  nb::class_<PySession>(module, "Session")
      .def("infer", &PySession::infer, "observation"_a, "prompt"_a.none(), "steps"_a,
           "seed"_a.none(), "noise"_a.none(), "rtc"_a.none(), "time_stages"_a, "progress"_a.none())
      .def("prefetch", &PySession::prefetch, "observation"_a, "prompt"_a.none())
      .def("last_chunk", &PySession::last_chunk)
      .def("set_last_chunk", &PySession::set_last_chunk, "last"_a.none());
  nb::class_<PyClient>(module, "Client")
      .def(
          "__init__",
          [](PyClient* self, std::string url, std::string api_key, Path ca_file, std::string robot,
             double connect_timeout_s, double call_timeout_s, int reconnects, double backoff_s,
             double max_backoff_s) {
            new (self) PyClient({.url = std::move(url),
                                 .api_key = std::move(api_key),
                                 .ca_file = std::move(ca_file),
                                 .robot = std::move(robot),
                                 .connect_timeout_s = connect_timeout_s,
                                 .call_timeout_s = call_timeout_s,
                                 .reconnects = reconnects,
                                 .backoff_s = backoff_s,
                                 .max_backoff_s = max_backoff_s});
          },
          "url"_a, "api_key"_a, "ca_file"_a, "robot"_a, "connect_timeout_s"_a, "call_timeout_s"_a,
          "reconnects"_a, "backoff_s"_a, "max_backoff_s"_a)
      .def("infer", &PyClient::infer, "observation"_a, "prompt"_a.none(), "steps"_a,
           "seed"_a.none(), "noise"_a.none(), "rtc"_a.none(), "hz"_a, "deadline_ms"_a, "latest"_a)
      .def("reset", &PyClient::reset)
      .def("info", &PyClient::info);
  nb::class_<PyPolicy>(module, "Policy")
      .def(
          "__init__",
          [](PyPolicy* self, const Path& checkpoint, std::string device, std::string dtype,
             int threads, std::vector<int> affinity, int priority, Path cache,
             std::uint64_t memory_limit_bytes, Path tokenizer, std::string resize,
             std::string prompt_format, std::optional<std::string> delta_mask, std::string asset,
             int action_dims, bool adapt_to_pi, std::string lerobot_version, int action_horizon,
             int max_token_len, Path base, Path norm_stats, bool raw, const std::string& robot,
             const Path& keys, nb::object progress) {
            new (self) PyPolicy(checkpoint,
                                {.device = std::move(device),
                                 .dtype = std::move(dtype),
                                 .threads = threads,
                                 .affinity = std::move(affinity),
                                 .priority = priority,
                                 .cache = std::move(cache),
                                 .memory_limit_bytes = memory_limit_bytes},
                                {.tokenizer = std::move(tokenizer),
                                 .resize = std::move(resize),
                                 .prompt_format = std::move(prompt_format),
                                 .delta_mask = std::move(delta_mask),
                                 .asset = std::move(asset),
                                 .action_dims = action_dims,
                                 .adapt_to_pi = adapt_to_pi,
                                 .lerobot_version = std::move(lerobot_version),
                                 .action_horizon = action_horizon,
                                 .max_token_len = max_token_len,
                                 .base = std::move(base),
                                 .norm_stats = std::move(norm_stats),
                                 .raw = raw},
                                robot, keys, std::move(progress));
          },
          "checkpoint"_a, "device"_a, "dtype"_a, "threads"_a, "affinity"_a, "priority"_a, "cache"_a,
          "memory_limit_bytes"_a, "tokenizer"_a, "resize"_a, "prompt_format"_a,
          "delta_mask"_a.none(), "asset"_a, "action_dims"_a, "adapt_to_pi"_a, "lerobot_version"_a,
          "action_horizon"_a, "max_token_len"_a, "base"_a, "norm_stats"_a, "raw"_a, "robot"_a,
          "keys"_a, "progress"_a.none())
      .def("info", &PyPolicy::info)
      .def("warnings", &PyPolicy::warnings)
      .def("session", &PyPolicy::session)
      .def("infer_batch", &PyPolicy::infer_batch, "observations"_a, "prompt"_a.none(), "steps"_a,
           "seed"_a.none(), "noise"_a.none(), "time_stages"_a, "progress"_a.none());
}
