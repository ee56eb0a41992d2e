#include "client/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace pi0 {
namespace {

namespace net = boost::asio;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

}  // namespace

void require_options(const ClientOptions& options) {
  const auto require_seconds = [](double s, const char* name, double least) {
    if (!(s >= least && s < 1e7)) {
      refuse(fmt::format("{} is {}, expected seconds, at least {}", name, s, least));
    }
  };
  require_seconds(options.connect_timeout_s, "connect_timeout_s", 0.001);
  require_seconds(options.call_timeout_s, "call_timeout_s", 0.001);
  require_seconds(options.backoff_s, "backoff_s", 0);
  require_seconds(options.max_backoff_s, "max_backoff_s", options.backoff_s);
  if (options.reconnects < 0) {
    refuse(fmt::format("reconnects is {}, expected a number from 0 on", options.reconnects));
  }
  const std::string& key = options.api_key;
  if (!std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    refuse("api_key: it has a character that no header may have");
  }
}

net::ssl::context make_tls(const ClientOptions& options) {
  net::ssl::context tls(net::ssl::context::tls_client);
  tls.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                  net::ssl::context::no_tlsv1_1);
  boost::system::error_code error;
  if (options.ca_file.empty()) {
    tls.set_default_verify_paths(error);
  } else {
    tls.load_verify_file(options.ca_file.string(), error);
    if (error) {
      refuse(
          fmt::format("ca_file {}: {}, expected PEM", options.ca_file.string(), error.message()));
    }
  }
  return tls;
}

}  // namespace pi0
