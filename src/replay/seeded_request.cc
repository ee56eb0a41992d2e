#include "replay/seeded_request.h"

#include <functional>
#include <msgpack.hpp>
#include <optional>
#include <string_view>

#include "pi0/error.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {
namespace {

using Bytes = std::span<const std::byte>;

// An entry of a map, as it is encoded.
struct Entry {
  std::string_view key = {};
  Bytes encoded_key = {}, encoded_value = {};
};

// `map`: one that decode() takes.
std::vector<Entry> entries_of(Bytes map) {
  const Value root = decode(map);
  const ValueMap& values = to_map(root, "message");
  const auto* const data = reinterpret_cast<const char*>(map.data());
  const auto first = std::to_integer<unsigned>(map[0]);
  std::size_t at = first == 0xde ? 3 : first == 0xdf ? 5 : 1;
  const auto next = [&] {
    const std::size_t begin = at;
    msgpack::null_visitor nothing;
    msgpack::parse(data, map.size(), at, nothing);
    return map.subspan(begin, at - begin);
  };
  std::vector<Entry> entries;
  for (const auto& [key, value] : values) {
    const Bytes encoded_key = next();
    entries.push_back({key, encoded_key, next()});
  }
  return entries;
}

struct Change {
  std::string_view key;
  std::function<void(Encoder&, Bytes before)> encode;  // `before`: empty where it was not there
};

// `map` (none: an empty one) with those entries in place of, or after, its own.
void encode_changed(Encoder& encoder, Bytes map, const std::vector<Change>& changes) {
  std::vector<Entry> entries = map.empty() ? std::vector<Entry>() : entries_of(map);
  std::vector<Bytes> before(changes.size());
  std::erase_if(entries, [&](const Entry& entry) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (entry.key != changes[i].key) continue;
      before[i] = entry.encoded_value;
      return true;
    }
    return false;
  });
  encoder.map(entries.size() + changes.size());
  for (const Entry& entry : entries)
    encoder.encoded(entry.encoded_key).encoded(entry.encoded_value);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    encoder.text(changes[i].key);
    changes[i].encode(encoder, before[i]);
  }
}

std::vector<Change> settled(const RecordedCall& recorded) {
  std::vector<Change> changes;
  if (recorded.steps != 0) {
    changes.push_back({"steps", [&](Encoder& encoder, Bytes) { encoder.integer(recorded.steps); }});
  }
  if (recorded.seed) {
    changes.push_back(
        {"seed", [&](Encoder& encoder, Bytes) { encoder.unsigned_integer(*recorded.seed); }});
  }
  if (recorded.inference_delay) {
    changes.push_back({"rtc", [&](Encoder& encoder, Bytes rtc) {
                         encode_changed(encoder, rtc,
                                        {{"inference_delay", [&](Encoder& into, Bytes) {
                                            into.integer(*recorded.inference_delay);
                                          }}});
                       }});
  }
  return changes;
}

}  // namespace

std::vector<std::byte> seeded_request(const RecordedCall& recorded) {
  Encoder encoder;
  try {
    encode_changed(
        encoder, recorded.message,
        {{"pi0", [&](Encoder& into, Bytes own) { encode_changed(into, own, settled(recorded)); }}});
    return encoder.take();
  } catch (const Error&) {
    return {recorded.message.begin(), recorded.message.end()};
  }
}

}  // namespace pi0
