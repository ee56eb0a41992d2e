#include "client/metadata_json.h"

#include <utility>

#include "base/text.h"
#include "files/json.h"
#include "wire/elements.h"

namespace pi0 {
namespace {

Json to_json(const Value& value);

// The elements in lists of the last side, those in lists of the side before, ….
Json to_json(const NumpyArray& array) {
  if (array.type.kind == NumpyKind::kText) return nullptr;
  Json all = Json::array();
  for_each_element(array, [&all](auto element) { all.push_back(element); });
  if (array.shape.empty()) return all.at(0);
  for (std::size_t side = array.shape.size(); side-- > 1;) {
    const auto size = static_cast<std::size_t>(array.shape[side]);
    Json rows = Json::array();
    for (std::size_t i = 0; size != 0 && i < all.size(); ++i) {
      if (i % size == 0) rows.push_back(Json::array());
      rows.back().push_back(std::move(all[i]));
    }
    all = std::move(rows);
  }
  return all;
}

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(std::string_view text) const { return printable(text); }
  Json operator()(const ValueBytes&) const { return nullptr; }
  Json operator()(const NumpyArray& array) const { return to_json(array); }
  Json operator()(const ValueList& list) const {
    Json all = Json::array();
    for (const Value& value : list) all.push_back(to_json(value));
    return all;
  }
  Json operator()(const ValueMap& map) const {
    Json all = Json::object();
    for (const auto& [key, value] : map) all[printable(key)] = to_json(value);
    return all;
  }
  template <typename Number>
  Json operator()(Number number) const {
    return number;
  }
};

Json to_json(const Value& value) { return std::visit(ToJson(), value.is); }

}  // namespace

std::string metadata_json(const Value& metadata) { return to_json(metadata).dump(); }

}  // namespace pi0
