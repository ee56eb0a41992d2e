#include "doctor/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/shape_text.h"
#include "files/json.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::int64_t kMaxSide = 1 << 16;  // of an image
constexpr std::int64_t kMaxMoments = 4096;  // a few are asked for; a prompt may be everyone's
constexpr std::int64_t kMaxDims = 1 << 16;  // of an action
constexpr std::string_view kImagePrefix = "image.";

[[noreturn]] void refuse(const std::string& where, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + sentence);
}

void require_finite(std::span<const float> values, const std::string& name,
                    const std::string& where) {
  const auto wrong =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (wrong == values.end()) return;
  refuse(where, fmt::format("value {} of {} is {}, expected a finite number",
                            wrong - values.begin(), name, *wrong));
}

// One row a moment, `shape` is what is expected of it.
const SafeTensor& require_tensor(const SafeTensors& file, const std::string& name,
                                 const std::string& dtype, std::size_t rank, const char* shape) {
  const SafeTensor* tensor = file.find(name);
  if (tensor == nullptr) refuse(file.where(), "no tensor " + name + "; see docs/doctor.md");
  const auto& dims = tensor->shape;
  if (tensor->dtype != dtype || dims.size() != rank ||
      std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 1; })) {
    refuse(file.where(), fmt::format("tensor {} is {} {}, expected {} {}", name, tensor->dtype,
                                     shape_text(dims), dtype, shape));
  }
  return *tensor;
}

std::vector<float> floats(const SafeTensors& file, const std::string& name, std::size_t rank,
                          const char* shape) {
  std::vector<float> values =
      floats_of<float>(require_tensor(file, name, "F32", rank, shape).bytes);
  require_finite(values, name, file.where());
  return values;
}

std::vector<float> row_of(const std::vector<float>& values, std::size_t row, std::size_t rows) {
  const auto width = static_cast<std::ptrdiff_t>(values.size() / rows);
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row) * width;
  return {begin, begin + width};
}

// The metadata `prompts`, a JSON list of one text a moment, or `prompt`, one of all.
std::vector<std::string> prompts_of(const SafeTensors& file, std::size_t moments) {
  const auto& metadata = file.metadata();
  if (const auto one = metadata.find("prompt"); one != metadata.end()) {
    return std::vector<std::string>(moments, one->second);
  }
  const auto all = metadata.find("prompts");
  if (all == metadata.end()) {
    refuse(file.where(), "no metadata prompt or prompts, the instructions");
  }
  const std::string where = file.where() + ", metadata prompts";
  const Json list = parse_json(all->second, where);
  std::vector<std::string> prompts;
  if (list.is_array()) {
    for (const Json& text : list) {
      if (!text.is_string()) refuse(where, "expected texts, found " + describe(text));
      prompts.push_back(text.get<std::string>());
    }
  }
  if (prompts.size() != moments) {
    refuse(where, fmt::format("expected a list of {} texts, found {}", moments, describe(list)));
  }
  return prompts;
}

void add_images(const SafeTensors& file, std::vector<Moment>& moments) {
  bool any = false;
  for (const auto& [name, found] : file.tensors()) {
    if (!name.starts_with(kImagePrefix)) continue;
    any = true;
    const SafeTensor& tensor =
        require_tensor(file, name, "U8", 4, "[observations, height, width, 3]");
    const auto& shape = tensor.shape;
    if (shape[0] != static_cast<std::int64_t>(moments.size()) || shape[3] != 3 ||
        shape[1] > kMaxSide || shape[2] > kMaxSide) {
      refuse(file.where(), fmt::format("tensor {} has shape {}, expected [{}, height, width, 3]",
                                       name, shape_text(shape), moments.size()));
    }
    const std::size_t size = tensor.bytes.size() / moments.size();
    for (std::size_t i = 0; i < moments.size(); ++i) {
      const auto* pixels = reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()) + i * size;
      moments[i].observation.images[name.substr(kImagePrefix.size())] = {
          static_cast<int>(shape[1]), static_cast<int>(shape[2]), {pixels, pixels + size}};
    }
  }
  if (!any) refuse(file.where(), "no tensor image.CAMERA; see docs/doctor.md");
}

}  // namespace

DataSample read_data_sample(const std::filesystem::path& path) {
  return parse_data_sample(SafeTensors::open(path));
}

DataSample parse_data_sample(const SafeTensors& file) {
  const std::vector<float> actions = floats(file, "actions", 3, "[observations, steps, dims]");
  const auto& shape = file.find("actions")->shape;
  if (shape[0] > kMaxMoments || shape[2] > kMaxDims) {
    refuse(file.where(),
           fmt::format("tensor actions has shape {}, expected at most {} observations "
                       "and {} dimensions",
                       shape_text(shape), kMaxMoments, kMaxDims));
  }
  const std::vector<float> state = floats(file, "state", 2, "[observations, dims]");
  const auto moments = static_cast<std::size_t>(shape[0]);
  if (file.find("state")->shape[0] != shape[0]) {
    refuse(file.where(), fmt::format("the state has {} rows, expected {}, one an observation",
                                     file.find("state")->shape[0], moments));
  }
  DataSample sample{file.where(), static_cast<int>(shape[2]), std::vector<Moment>(moments)};
  const std::vector<std::string> prompts = prompts_of(file, moments);
  for (std::size_t i = 0; i < moments; ++i) {
    sample.moments[i].observation.state = row_of(state, i, moments);
    sample.moments[i].observation.prompt = prompts[i];
    sample.moments[i].actions = row_of(actions, i, moments);
  }
  add_images(file, sample.moments);
  return sample;
}

DataSample sample_of(const PyTorchRecording& recording) {
  DataSample sample{recording.where, 0, {}};
  for (const RecordedCase& one : recording.cases) {
    const auto followed = one.results.find("expert_actions");
    if (followed == one.results.end()) continue;
    const auto& shape = followed->second.shape;
    const std::string name = one.name + ".expert_actions";
    if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1 || shape[1] > kMaxDims ||
        (sample.dims != 0 && shape[1] != sample.dims)) {
      refuse(recording.where, fmt::format("tensor {} has shape {}, expected [steps, dims], of as "
                                          "many dimensions in all cases",
                                          name, shape_text(shape)));
    }
    if (one.options != CheckpointOverrides()) {
      refuse(recording.where, fmt::format("case {} has options of its own, which are those of the "
                                          "command here",
                                          one.name));
    }
    require_finite(followed->second.values, name, recording.where);
    sample.dims = static_cast<int>(shape[1]);
    sample.moments.push_back({one.observation, one.noise, followed->second.values});
  }
  if (sample.moments.empty()) {
    refuse(recording.where,
           "no case holds expert_actions, the actions that followed (docs/doctor.md); what PyTorch "
           "predicted is compared by pi0 verify");
  }
  return sample;
}

}  // namespace pi0
