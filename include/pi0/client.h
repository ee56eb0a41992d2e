// A policy that a server computes: `pi0 serve`, or openpi's own.
//
//   #include <pi0/client.h>
//
//   pi0::Client client({.url = "ws://gpu-box:8000"});
//   pi0::ActionChunk chunk = client.infer(observation);  // as of pi0::Policy
//
// In a control loop, while the chunk before is executed (examples/control_loop.cc):
//
//   std::future<pi0::ServedChunk> next = client.infer_async(observation, {.sample = {.rtc = rtc}});
//
// In builds with PI0_SERVE, as the installed ones are.
#pragma once

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "pi0/error.h"
#include "pi0/export.h"
#include "pi0/observation.h"
#include "pi0/policy.h"
#include "pi0/robot.h"

namespace pi0 {

struct PI0_API ClientOptions {
  // ws://HOST[:PORT][/PATH], or wss:// where the server encrypts; port 80 or 443 unless said.
  std::string url = "ws://127.0.0.1:8000";
  std::string api_key = {};            // sent as "Authorization: Api-Key …"; empty: none
  std::filesystem::path ca_file = {};  // wss: PEM of whom to trust; empty: as the system does
  // Under which keys the server expects what: "aloha", "libero" or "droid", as openpi's own server
  // for that robot; cameras are then base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb. Empty: as the
  // server's metadata says, which libpi0's tells.
  std::string robot = {};
  double connect_timeout_s = 10;  // until the server has told its metadata
  double call_timeout_s = 60;     // of a call in all, with the connections that it takes
  // A connection that cannot be made, or breaks, is made anew at most so often for a call, and what
  // it had not answered is sent again: a call has no effect but its answer. 0: never.
  int reconnects = 5;
  // Before the first of them, then twice as long for each; a random part of up to half is left out.
  double backoff_s = 0.1;
  double max_backoff_s = 5;
};

// What a call says beside its observation. openpi's own server takes none of it: Error
// (kUnsupported).
struct PI0_API ClientCall {
  // Steps, seed, noise; rtc with `executed`. A server counts that from the last chunk that it gave
  // on this connection: see ServedChunk. What is called back (progress, observe) and
  // prev_chunk_left_over are refused (Error, kUnsupported).
  SampleOptions sample = {};
  // Control steps a second: the server makes rtc's inference_delay, in rows, of it and of how long
  // its calls take. 0: inference_delay is as given.
  double hz = 0;
  // An answer later than this is of no use: the server computes it no further. Milliseconds, the
  // time before it is sent included; 0: any.
  double deadline_ms = 0;
  bool latest = false;  // this client's earlier calls are no longer wanted: each fails (kServer)
};

// A chunk, and how it came. With rtc it has a seam where it goes on from the last one. It has none,
// and goes on from nothing, after reset(), and after a connection was lost, with which goes what
// the server knew of the last chunk. A server that loads another checkpoint keeps
// its actions, where that has as many dimensions.
struct PI0_API ServedChunk : ActionChunk {
  int reconnects = 0;        // how often this call was sent again, or waited for a connection
  double round_trip_ms = 0;  // from the call until the answer was here
  double server_ms = 0;      // of it, computing
  double queue_ms = 0;       // of it, waiting for others' calls; 0 from openpi's server
  std::string device = {};   // that computed it; empty from openpi's server
};

// What a server tells first. Of openpi's own `metadata` and `cameras` alone: the rest is empty or
// 0.
struct PI0_API ServerInfo {
  std::string metadata = {};              // all of it, as JSON
  std::string version = {};               // of its libpi0
  std::string kind = {};                  // "pi0" or "pi05"
  std::vector<std::string> cameras = {};  // that an observation may have
  int state_dims = 0;                     // 0: any
  int action_dims = 0;
  int action_horizon = 0;
  int n_action_steps = 0;
  std::vector<std::string> action_names = {};
  std::vector<std::string> devices = {};
};

// A connection to a server, and a thread that keeps it: it answers the server's pings between
// calls. Calls of one client are answered one after another, in their order; a robot has a client
// of its own.
//
// All of it may be called from any thread. Neither copied nor moved.
//
// What fails is an Error: kServer where the server cannot be reached, or breaks off, says nothing
// in time, is busy, or found the call too late; kInvalidInput where the observation or the options
// do not fit, and kLimit where the chunk is over rtc's, which the server tells. After any of them
// the client can be called again, and connects if it has to.
class PI0_API Client {
 public:
  // Connects. Throws Error: kInvalidInput where an option is wrong, kServer.
  explicit Client(const ClientOptions& options = {});
  ~Client();  // calls that wait fail
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Of the connection that was made last.
  ServerInfo info() const;
  // What the robot that is served calls its images, state and instruction: as ClientOptions::robot
  // names it, else as the server told.
  RobotKeys keys() const;

  // Images go as they are, and are resized by the server: smaller ones travel faster.
  ServedChunk infer(const Observation& observation, const ClientCall& call = {});
  // Returns when the observation has been copied. Throws what can be told at once; the rest comes
  // out of the future.
  std::future<ServedChunk> infer_async(const Observation& observation, const ClientCall& call = {});

  // An episode begins: the next call goes on from no chunk. Those made before, also where they
  // still wait, are of the episode before.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pi0
