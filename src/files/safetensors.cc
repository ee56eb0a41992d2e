#include "files/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "base/shape_text.h"
#include "files/json.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kMaxDims = 16;               // NumPy has 64, checkpoints at most 5

[[noreturn]] void refuse(const std::string& where, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidCheckpoint, where + ": " + sentence);
}

// Bytes of one element; 0 for an unknown type. The types of less than a byte (F4, F6_…) are left
// out: no policy has them.
std::size_t element_size(const std::string& dtype) {
  static const std::map<std::string, std::size_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1},
      {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},     {"I32", 4},
      {"F32", 4},  {"U64", 8}, {"I64", 8}, {"F64", 8},     {"C64", 8},
  };
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

// Bytes of a tensor; std::nullopt when 64 bits do not hold them.
std::optional<std::uint64_t> byte_size(const std::vector<std::int64_t>& shape,
                                       std::size_t element) {
  std::uint64_t bytes = element;
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dim), &bytes)) return std::nullopt;
  }
  return bytes;
}

// What the header says of one tensor, checked as far as it can be without the others.
struct Entry {
  std::string name;
  SafeTensor tensor;  // its bytes are still to be set
  std::size_t element = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// [begin, end) of the data.
std::string range_text(const Entry& entry) {
  return fmt::format("[{}, {})", entry.begin, entry.end);
}

std::vector<std::int64_t> read_shape(const Json& json, const std::string& where) {
  const Json* shape = find_array(json, "shape", where);
  if (!shape) refuse(where, "\"shape\" is missing");
  if (shape->size() > kMaxDims) {
    refuse(where, fmt::format("\"shape\" has {} dimensions, expected at most {}", shape->size(),
                              kMaxDims));
  }
  std::vector<std::int64_t> dims;
  for (const Json& dim : *shape) {
    // The parser makes every integer that is not negative an unsigned one.
    if (!dim.is_number_unsigned() ||
        dim.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
      refuse(where, "\"shape\" holds " + describe(dim) + ", expected integers of at least 0");
    }
    dims.push_back(dim.get<std::int64_t>());
  }
  return dims;
}

std::pair<std::uint64_t, std::uint64_t> read_offsets(const Json& json, const std::string& where) {
  const Json* offsets = find_array(json, "data_offsets", where);
  if (!offsets) refuse(where, "\"data_offsets\" is missing");
  if (offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    refuse(where, fmt::format("\"data_offsets\" is {}, expected two integers of at least 0",
                              offsets->dump().substr(0, 60)));
  }
  return {(*offsets)[0].get<std::uint64_t>(), (*offsets)[1].get<std::uint64_t>()};
}

// `data_begin` is where the data begins in the file.
Entry read_entry(const std::string& name, const Json& json, std::uint64_t data_begin,
                 std::uint64_t data_size, const std::string& file) {
  const std::string where = file + ": tensor " + name;
  require_object(json, where);
  Entry entry;
  entry.name = name;
  entry.tensor.dtype = get_string(json, "dtype", where, std::nullopt);
  entry.element = element_size(entry.tensor.dtype);
  if (entry.element == 0) refuse(where, "unknown type " + describe(entry.tensor.dtype));
  entry.tensor.shape = read_shape(json, where);
  std::tie(entry.begin, entry.end) = read_offsets(json, where);
  if (entry.begin > entry.end) {
    refuse(where, fmt::format("ends before it begins, at {} of the data", range_text(entry)));
  }
  if (entry.end > data_size) {
    refuse(where, fmt::format("lies at {} of the data, but the file has only {} bytes of data: it "
                              "is truncated",
                              range_text(entry), data_size));
  }
  const auto bytes = byte_size(entry.tensor.shape, entry.element);
  if (!bytes || *bytes != entry.end - entry.begin) {
    refuse(where,
           fmt::format("has {} bytes, but its shape {} of {} takes {}", entry.end - entry.begin,
                       shape_text(entry.tensor.shape), entry.tensor.dtype,
                       bytes ? std::to_string(*bytes) : "more than 64 bits can say"));
  }
  if ((data_begin + entry.begin) % entry.element != 0) {
    refuse(where, fmt::format("is misaligned: it begins at byte {} of the file, expected a "
                              "multiple of {}",
                              data_begin + entry.begin, entry.element));
  }
  return entry;
}

// The tensors must fill the data, in some order, without gap or overlap.
void require_dense(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t filled = 0;
  const Entry* previous = nullptr;
  for (const Entry& entry : entries) {
    if (entry.begin < filled) {
      refuse(where, fmt::format("tensor {} at {} of the data overlaps {} at {}", entry.name,
                                range_text(entry), previous->name, range_text(*previous)));
    }
    if (entry.begin > filled) {
      refuse(where, fmt::format("bytes [{}, {}) of the data, before tensor {}, belong to no tensor",
                                filled, entry.begin, entry.name));
    }
    filled = entry.end;
    previous = &entry;
  }
  if (filled != data_size) {
    refuse(where, fmt::format("is oversized: its tensors end at byte {} of the data, but the file "
                              "has {} bytes of data",
                              filled, data_size));
  }
}

std::map<std::string, std::string> read_metadata(const Json& json, const std::string& where) {
  require_object(json, where);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      refuse(where, fmt::format("{} is {}, expected a string", describe(key), describe(value)));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

}  // namespace

SafeTensors SafeTensors::parse(std::span<const std::byte> bytes, const std::string& where) {
  refuse_lfs_pointer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, where);
  std::uint64_t header_size = 0;
  if (bytes.size() < kLengthBytes) {
    refuse(where,
           fmt::format("is truncated: it has {} bytes, not even the 8 of the header's length",
                       bytes.size()));
  }
  std::memcpy(&header_size, bytes.data(), kLengthBytes);
  if (header_size > kMaxHeader) {
    refuse(where, fmt::format("its header says that it has {} bytes, expected at most {}; is it a "
                              "safetensors file?",
                              header_size, kMaxHeader));
  }
  if (header_size > bytes.size() - kLengthBytes) {
    refuse(where, fmt::format("is truncated: its header has {} bytes, but only {} follow the "
                              "header's length",
                              header_size, bytes.size() - kLengthBytes));
  }
  const auto header = bytes.subspan(kLengthBytes, static_cast<std::size_t>(header_size));
  const auto data = bytes.subspan(kLengthBytes + header.size());
  const Json json = parse_json({reinterpret_cast<const char*>(header.data()), header.size()},
                               where + ": the header");
  require_object(json, where + ": the header");

  SafeTensors file;
  file.where_ = where;
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      file.metadata_ = read_metadata(value, where + ": __metadata__");
    } else {
      entries.push_back(read_entry(name, value, kLengthBytes + header.size(), data.size(), where));
    }
  }
  require_dense(entries, data.size(), where);
  for (Entry& entry : entries) {
    entry.tensor.bytes = data.subspan(static_cast<std::size_t>(entry.begin),
                                      static_cast<std::size_t>(entry.end - entry.begin));
    file.tensors_.emplace(std::move(entry.name), std::move(entry.tensor));
  }
  return file;
}

SafeTensors SafeTensors::open(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  SafeTensors file = parse(mapped.bytes(), path.string());
  file.owner_ = mapped.owner();
  file.file_ = mapped.file();
  return file;
}

const SafeTensor* SafeTensors::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  // The reference writer's order: the widest types first, so that each begins at a multiple of its
  // element size; then by name.
  std::vector<const TensorToWrite*> order;
  order.reserve(tensors.size());
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    const std::size_t size_a = element_size(a->dtype), size_b = element_size(b->dtype);
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });

  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const TensorToWrite* tensor : order) {
    assert(byte_size(tensor->shape, element_size(tensor->dtype)) == tensor->bytes.size());
    assert(!header.contains(tensor->name));
    header[tensor->name] = {{"dtype", tensor->dtype},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  // `replace`: metadata may quote what a user typed, and that need not be UTF-8.
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');

  const std::uint64_t header_size = text.size();
  std::string contents(reinterpret_cast<const char*>(&header_size), kLengthBytes);
  contents.reserve(kLengthBytes + text.size() + offset);
  contents += text;
  for (const TensorToWrite* tensor : order) contents += tensor->bytes;
  write_file(path, contents);
}

}  // namespace pi0
