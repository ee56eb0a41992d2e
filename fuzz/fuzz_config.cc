// Feeds one text to every reader of a checkpoint's JSON files. Whatever it is, each gives a
// configuration whose sizes validate() can judge, or throws pi0::Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/adapters/adapter_config.h"
#include "checkpoint/form/pi0_json.h"
#include "checkpoint/form/statistics.h"
#include "checkpoint/lerobot/config.h"
#include "checkpoint/lerobot/processors.h"
#include "checkpoint/openpi/config.h"
#include "files/json.h"
#include "model/config.h"
#include "pi0/error.h"

namespace {

template <typename Call>
void only_error(Call call) {
  try {
    call();
  } catch (const pi0::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  only_error([&] {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const pi0::Json json = pi0::parse_json(text, "fuzz");
    only_error([&] {
      pi0::LerobotConfig config = pi0::parse_lerobot_config(json, "fuzz");
      if (config.model.vocab_size == 0) config.model.vocab_size = 1;
      if (config.cameras.empty() || config.n_action_steps > config.model.action_horizon) {
        std::abort();
      }
      const std::vector<bool> mask = relative_mask(config.relative, config.action_dims);
      if (mask.size() != static_cast<std::size_t>(config.action_dims)) std::abort();
      validate(config.model, "fuzz");
    });
    only_error([&] { pi0::parse_preprocessor(json, "fuzz"); });
    only_error([&] { pi0::parse_postprocessor(json, "fuzz"); });
    only_error([&] {
      pi0::ModelConfig model;
      pi0::parse_openpi_config(json, "fuzz", model);
      if (model.vocab_size == 0) model.vocab_size = 1;
      validate(model, "fuzz");
    });
    only_error([&] { pi0::parse_pi0_json(json, "fuzz"); });
    only_error([&] {
      const pi0::AdapterConfig adapters = pi0::parse_adapter_config(json, "fuzz");
      for (const char* module : {"model.action_in_proj", "a.b.layers.1.q_proj", "x", ""}) {
        if (adapters.rank_of(module) < 1) std::abort();
        adapters.scale_of(module);
        adapters.saves(module);
      }
    });
    only_error([&] {
      const pi0::Statistics statistics = pi0::parse_statistics(json, "fuzz");
      for (const auto& [name, statistic] : statistics.values) {
        std::size_t count = 1;
        for (const std::int64_t dim : statistic.shape) count *= static_cast<std::size_t>(dim);
        if (count != statistic.values.size()) std::abort();
      }
      pi0::norm_stats_of(statistics);
    });
    for (const bool quantiles : {false, true}) {
      only_error([&] {
        std::vector<std::string> warnings;
        const auto statistics = pi0::parse_norm_stats(json, "fuzz", quantiles, warnings);
        if (statistics.state.first.size() != statistics.state.second.size()) std::abort();
      });
    }
  });
  return 0;
}
