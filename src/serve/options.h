// What a policy server is told when it starts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/json.h"
#include "pi0/policy.h"

namespace pi0 {

struct ServerLimits {
  std::size_t message_bytes = std::size_t{16} << 20;
  std::int64_t file_pixels = 128'000'000;  // of a message's PNGs and JPEGs, once they are decoded
  int connections = 256;                   // of clients
  int queue = 64;                          // calls that wait, of all clients
  int per_client = 4;                      // calls of one client that wait or are computed
  double rate = 0;                         // calls a second of one client; 0: as many as it likes
  double message_s = 30;                   // from a message's first byte to its last
  double handshake_s = 10;
  double idle_s =
      30;  // without a byte from a client until it is pinged, and again until it is left
  double grace_s = 60;  // for the calls that are computed when the server is told to stop
};

struct ServerOptions {
  std::filesystem::path checkpoint = {};
  CheckpointOptions read = {};
  std::vector<DeviceOptions> devices = {};  // each computes calls of its own
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: one that is free
  std::string robot = "none";
  std::filesystem::path keys = {};         // a robot's keys in a file, in place of a known robot's
  std::optional<std::string> prompt = {};  // for requests without one
  Json metadata = Json::object();          // its entries go before ours
  std::vector<std::string> api_keys = {};  // none: everyone may call
  std::filesystem::path tls_cert = {}, tls_key = {};
  SampleOptions sample = {};          // of calls that do not say: steps, seed
  std::filesystem::path record = {};  // where calls are kept; empty: nowhere
  std::uint64_t record_bytes = 4'000'000'000;
  ServerLimits limits = {};
};

}  // namespace pi0
