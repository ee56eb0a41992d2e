#include "serve/board.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "serve/bitmap.h"

namespace pi0 {
namespace {

constexpr std::size_t kMostCalls = 256;
constexpr std::size_t kMostClients = 64;
constexpr std::size_t kMostSeenBytes = std::size_t{128} << 20;
constexpr double kKeptMs = 60'000;
constexpr std::size_t kMostOfAText = 500;  // bytes
constexpr std::size_t kMostOfAState = 64;  // values

std::string shown(std::string_view text) {
  if (text.size() <= kMostOfAText) return printable(text);
  std::size_t end = kMostOfAText;
  while (end > kMostOfAText - 4 && (text[end] & 0xC0) == 0x80) --end;  // not within a character
  return printable(text.substr(0, end)) + "…";
}

std::map<std::string, ImageView> cameras_of(const Observation& observation) {
  std::map<std::string, ImageView> cameras = observation.views;
  for (const auto& [name, image] : observation.images) {
    cameras[name] = {.data = image.rgb.data(), .height = image.height, .width = image.width};
  }
  return cameras;
}

Json stages_of(const std::vector<ActionChunk>& chunks) {
  Timing sum;
  for (const ActionChunk& chunk : chunks) {
    sum.preprocess_ms += chunk.timing.preprocess_ms;
    sum.vision_ms += chunk.timing.vision_ms;
    sum.prefix_ms += chunk.timing.prefix_ms;
    sum.denoise_ms += chunk.timing.denoise_ms;
  }
  return {{"preprocess", sum.preprocess_ms},
          {"vision", sum.vision_ms},
          {"prefix", sum.prefix_ms},
          {"denoise", sum.denoise_ms}};
}

// Its first `dims` dimensions.
Json describe_actions(const ActionChunk& chunk, int dims) {
  const auto count = static_cast<std::size_t>(dims);
  Json names = Json::array(), ranges = Json::array(), rows = Json::array();
  for (std::size_t i = 0; i < std::min(count, chunk.names.size()); ++i) {
    names.push_back(shown(chunk.names[i]));
  }
  for (std::size_t i = 0; i < std::min(count, chunk.ranges.size()); ++i) {
    const ActionRange& range = chunk.ranges[i];
    ranges.push_back(range.known() ? Json{range.low, range.high} : Json());
  }
  for (int row = 0; row < chunk.horizon; ++row) {
    const std::span<const float> values = chunk.row(row).first(count);
    rows.push_back(std::vector<float>(values.begin(), values.end()));
  }
  return {{"names", std::move(names)},
          {"ranges", std::move(ranges)},
          {"n_action_steps", chunk.n_action_steps},
          {"actions", std::move(rows)}};
}

Json describe_seam(const Seam& seam, int dims, int executed) {
  const auto first = [dims](const std::vector<float>& values) {
    return std::vector<float>(values.begin(), values.begin() + dims);
  };
  return {{"executed", executed},
          {"delay", seam.delay},
          {"row", seam.row},
          {"jump", first(seam.jump)},
          {"velocity_change", first(seam.velocity_change)}};
}

}  // namespace

void Board::joined(const Caller& caller, Clock::time_point now) {
  clients_[caller.id] = {.peer = caller.peer, .heard = now};
}

void Board::left(const Caller& caller, Clock::time_point now) {
  const auto found = clients_.find(caller.id);
  if (found == clients_.end() || found->second.left) return;
  found->second.left = now;
  std::size_t gone = 0;
  for (const auto& [id, client] : clients_) gone += client.left ? 1 : 0;
  auto first = clients_.end();
  for (auto it = clients_.begin(); it != clients_.end();) {
    const auto next = std::next(it);
    if (it->second.left) {
      if (ms_between(*it->second.left, now) > kKeptMs) {
        forget(it);
        --gone;
      } else if (first == clients_.end() || *it->second.left < *first->second.left) {
        first = it;
      }
    }
    it = next;
  }
  if (gone > kMostClients) forget(first);
}

void Board::forget(Clients::iterator client) {
  seen_bytes_ -= client->second.seen_bytes;
  clients_.erase(client);
}

void Board::ended(std::shared_ptr<const Call> call,
                  const std::variant<CallResult, CallError>& outcome, int dims,
                  Clock::time_point now) {
  const std::uint64_t number = ++count_;
  const auto* const result = std::get_if<CallResult>(&outcome);
  Json line = {{"number", number},
               {"client", call->caller->id},
               {"at", ms_at(now)},
               {"total", ms_between(call->arrived, now)}};
  if (result) {
    line["outcome"] = "ok";
    line["queue"] = result->queue_ms;
    line["stages"] = stages_of(result->chunks);
    line["device"] = result->device;
    if (call->batch) line["batch"] = result->chunks.size();
    if (call->options.rtc) {
      line["executed"] = *call->options.rtc->rtc.executed;
      line["delay"] = result->assumed_delay;
    }
  } else {
    const CallError& error = std::get<CallError>(outcome);
    line["outcome"] = error.code;
    line["sentence"] = shown(error.sentence);
  }
  calls_.push_back(std::move(line));
  if (calls_.size() > kMostCalls) calls_.pop_front();

  const auto found = clients_.find(call->caller->id);
  if (found == clients_.end()) return;  // it left long ago
  Client& client = found->second;
  client.heard = now;
  client.last_call = number;
  ++client.calls;
  if (result) {
    client.chunks.push_back({.call = number, .dims = dims, .chunk = result->chunks.back()});
    if (call->options.rtc) client.chunks.back().executed = *call->options.rtc->rtc.executed;
    if (client.chunks.size() > 2) client.chunks.pop_front();
  }
  if (!call->observations.empty()) keep(client, std::move(call));
}

void Board::keep(Client& client, std::shared_ptr<const Call> call) {
  seen_bytes_ -= client.seen_bytes;
  client.seen_bytes = bytes_of(*call);
  seen_bytes_ += client.seen_bytes;
  client.seen = std::move(call);
  while (seen_bytes_ > kMostSeenBytes) {
    Client* first = nullptr;
    for (auto& [id, other] : clients_) {
      if (other.seen && (!first || other.heard < first->heard)) first = &other;
    }
    seen_bytes_ -= std::exchange(first->seen_bytes, 0);
    first->seen.reset();
  }
}

std::vector<Board::Clients::const_iterator> Board::by_last_heard() const {
  std::vector<Clients::const_iterator> clients;
  for (auto it = clients_.begin(); it != clients_.end(); ++it) clients.push_back(it);
  std::stable_sort(clients.begin(), clients.end(),
                   [](const auto& a, const auto& b) { return a->second.heard > b->second.heard; });
  if (clients.size() > kMostClients) clients.resize(kMostClients);
  return clients;
}

Json Board::describe_client(std::uint64_t id, const Client& client) const {
  Json json = {{"id", id},
               {"peer", shown(client.peer)},
               {"heard", ms_at(client.heard)},
               {"left", client.left.has_value()},
               {"calls", client.calls},
               {"last_call", client.last_call}};
  if (!client.seen) return json;
  const Observation& observation = client.seen->observations.back().observation;
  json["prompt"] = shown(observation.prompt.value_or(""));
  const std::size_t values = std::min(observation.state.size(), kMostOfAState);
  json["state"] = std::vector<float>(
      observation.state.begin(), observation.state.begin() + static_cast<std::ptrdiff_t>(values));
  Json& cameras = json["cameras"] = Json::array();
  for (const auto& [name, view] : cameras_of(observation)) {
    cameras.push_back({{"name", shown(name)}, {"width", view.width}, {"height", view.height}});
  }
  return json;
}

Json Board::state(std::uint64_t since, std::uint64_t client, Clock::time_point now) const {
  Json json = {{"instance", instance_}, {"now", ms_at(now)}, {"last_call", count_}};
  Json& calls = json["calls"] = Json::array();
  const std::uint64_t before = count_ - calls_.size();  // the first's number, less one
  for (std::size_t i = std::clamp(since, before, count_) - before; i < calls_.size(); ++i) {
    calls.push_back(calls_[i]);
  }
  Json& list = json["clients"] = Json::array();
  Clients::const_iterator chosen = clients_.end(), latest = clients_.end();
  for (const Clients::const_iterator it : by_last_heard()) {
    const auto& [id, one] = *it;
    if (one.left && ms_between(*one.left, now) > kKeptMs) continue;
    list.push_back(describe_client(id, one));
    if (id == client) chosen = it;
    if (one.calls != 0 && latest == clients_.end()) latest = it;
  }
  if (chosen == clients_.end()) chosen = latest;
  if (chosen == clients_.end()) return json;
  json["client"] = chosen->first;
  const std::deque<Chunk>& chunks = chosen->second.chunks;
  if (chunks.empty() || chunks.back().call <= since) return json;
  Json& described = json["chunks"] = Json::array();
  for (const Chunk& chunk : chunks) {
    Json one = describe_actions(chunk.chunk, chunk.dims);
    one["call"] = chunk.call;
    if (chunk.chunk.seam)
      one["seam"] = describe_seam(*chunk.chunk.seam, chunk.dims, chunk.executed);
    described.push_back(std::move(one));
  }
  return json;
}

std::optional<std::string> Board::picture(std::uint64_t client, std::size_t camera) const {
  const auto found = clients_.find(client);
  if (found == clients_.end() || !found->second.seen) return std::nullopt;
  const auto cameras = cameras_of(found->second.seen->observations.back().observation);
  if (camera >= cameras.size()) return std::nullopt;
  return to_bitmap(std::next(cameras.begin(), static_cast<std::ptrdiff_t>(camera))->second);
}

}  // namespace pi0
