#include "replay/dump.h"

#include <fmt/format.h>

#include "files/file.h"
#include "files/json.h"
#include "image/view.h"
#include "replay/request.h"
#include "report/picture.h"

namespace pi0 {
namespace {

// Rows of the observation's part of [observations, rows, dims].
Json rows_of(const RecordedArray& array, std::size_t observation) {
  Json rows = Json::array();
  if (array.values.empty() || observation >= static_cast<std::size_t>(array.shape[0])) return rows;
  const auto count = static_cast<std::size_t>(array.shape[1]);
  const auto dims = static_cast<std::size_t>(array.shape[2]);
  for (std::size_t row = 0; row < count; ++row) {
    const auto first =
        array.values.begin() + static_cast<std::ptrdiff_t>((observation * count + row) * dims);
    rows.push_back(std::vector<float>(first, first + static_cast<std::ptrdiff_t>(dims)));
  }
  return rows;
}

// A camera's name may have what a file's may not.
std::string file_name_of(std::string name) {
  for (char& letter : name) {
    if (letter == '/' || letter == '\0') letter = '_';
  }
  return name;
}

}  // namespace

std::vector<std::filesystem::path> dump_call(const RecordedCall& recorded, const RecordHead& head,
                                             const std::filesystem::path& directory) {
  const std::shared_ptr<const Call> call =
      read_recorded(recorded, recorded_robot(head), head.prompt);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::vector<std::filesystem::path> written;
  const auto write = [&](const std::string& name, std::string_view contents) {
    written.push_back(directory / name);
    write_file(written.back(), contents);
  };
  for (std::size_t i = 0; i < call->observations.size(); ++i) {
    const Observation& observation = call->observations[i].observation;
    const std::string name =
        fmt::format("call-{}{}", recorded.number, call->batch ? fmt::format(".{}", i) : "");
    const auto write_image = [&](const std::string& camera, const Image& image) {
      const std::vector<std::uint8_t> png = encode_png(image);
      write(fmt::format("{}-{}.png", name, file_name_of(camera)),
            {reinterpret_cast<const char*>(png.data()), png.size()});
    };
    for (const auto& [camera, image] : observation.images) write_image(camera, image);
    for (const auto& [camera, view] : observation.views) {
      require_view(view, camera);
      require_values(view, camera);
      write_image(camera, to_8bit(view));
    }
    Json json = {{"call", recorded.number},
                 {"client", recorded.client},
                 {"peer", recorded.peer},
                 {"arrived", recorded.arrived},
                 {"prompt", observation.prompt.value_or("")},
                 {"state", observation.state},
                 {"steps", recorded.steps},
                 {"device", recorded.device},
                 {"queue_ms", recorded.queue_ms},
                 {"infer_ms", recorded.infer_ms},
                 {"noise", rows_of(recorded.noise, i)},
                 {"actions", rows_of(recorded.actions, i)}};
    if (recorded.seed) json["seed"] = *recorded.seed;
    if (recorded.inference_delay) json["inference_delay"] = *recorded.inference_delay;
    if (!recorded.error.empty()) json["error"] = recorded.error;
    write(name + ".json", json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  return written;
}

}  // namespace pi0
