#include "checkpoint/adapters/find_base.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>
#include <vector>

#include "checkpoint/form/places.h"
#include "checkpoint/form/sentence.h"
#include "files/file.h"
#include "files/json.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value ? value : "";
}

// As huggingface_hub finds it; empty without a home.
fs::path hub_cache() {
  if (std::string cache = environment("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (std::string home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  std::string cache = environment("XDG_CACHE_HOME");
  if (cache.empty()) {
    const std::string home = environment("HOME");
    if (home.empty()) return {};
    cache = home + "/.cache";
  }
  return fs::path(cache) / "huggingface/hub";
}

// models--ORG--NAME/snapshots/COMMIT of the revision, which is a branch, a tag or the commit
// itself.
fs::path snapshot(const fs::path& cache, const std::string& base, const std::string& revision) {
  std::string folder = "models--" + base;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path model = cache / folder;
  const fs::path reference = model / "refs" / revision;
  std::string commit = revision;
  if (is_there(reference)) {
    commit = read_file(reference, 4096);
    while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) {
      commit.pop_back();
    }
  }
  return model / "snapshots" / commit;
}

bool is_of_every_run(const std::string& name) {
  const bool digits =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits || name == "pretrained_model" || name == "last" || name == "checkpoint" ||
         name == "checkpoints" || name == "model";
}

bool stays_within(const std::string& revision) {
  return !revision.empty() && fs::path(revision).is_relative() &&
         revision.find("..") == std::string::npos && revision.find('\0') == std::string::npos;
}

}  // namespace

bool holds_adapters(const fs::path& directory) {
  return is_there(directory / "adapter_config.json") ||
         is_there(directory / "adapter_model.safetensors") ||
         is_there(directory / "adapter_model.bin");
}

FoundBase find_base(const fs::path& adapters, const std::string& base, const std::string& revision,
                    const fs::path& named) {
  if (!named.empty()) {
    if (holds_weights(named)) return {named};
    fail(named.string(),
         holds_adapters(named)
             ? "is of adapters itself, which cannot be the base of others: merge them with peft"
             : "is named as the base of adapters, but holds neither model.safetensors nor "
               "model.safetensors.index.json",
         ErrorCode::kIo);
  }
  const std::string config = (adapters / "adapter_config.json").string();
  if (base.empty() || base.find('\0') != std::string::npos) {
    fail(config, "names no base (base_model_name_or_path): name its directory by --base");
  }
  std::vector<fs::path> places{base};
  if (fs::path(base).is_relative()) places.push_back(adapters / base);
  const std::size_t as_named = places.size();
  std::error_code ignored;
  const fs::path absolute = fs::absolute(adapters, ignored).lexically_normal();
  const fs::path own = absolute.has_filename() ? absolute : absolute.parent_path();
  fs::path last = fs::path(base).lexically_normal();
  last = last.has_filename() ? last.filename() : last.parent_path().filename();
  // Not by a name that any training run's folders have.
  if (!is_of_every_run(last.string())) {
    places.push_back(own / last);
    places.push_back(own.parent_path() / last);
  }
  const std::size_t with_guesses = places.size();
  if (is_hub_name(base) && stays_within(revision)) {
    const fs::path cache = hub_cache();
    if (!cache.empty()) places.push_back(snapshot(cache, base, revision));
  }
  std::vector<std::string> looked;
  std::set<fs::path> seen;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const fs::path& place = places[i];
    fs::path whole = fs::absolute(place, ignored).lexically_normal();
    if (!whole.has_filename()) whole = whole.parent_path();
    if (!seen.insert(whole).second) continue;
    if (whole != own && holds_weights(place)) {
      return {place, i >= as_named && i < with_guesses};
    }
    looked.push_back(place.string());
  }
  fail(
      config,
      fmt::format("the base {} is not here: there are no weights in {}; download it{} and name its "
                  "directory by --base",
                  describe(base), list_of(looked),
                  is_hub_name(base) ? fmt::format(" (hf download {})", base) : ""),
      ErrorCode::kIo);
}

}  // namespace pi0
