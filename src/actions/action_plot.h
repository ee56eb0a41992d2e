// A chunk of actions as a drawing: an SVG with a panel a dimension.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actions/action_files.h"
#include "pi0/observation.h"
#include "pi0/policy.h"
#include "report/svg.h"

namespace pi0 {

struct PlotOptions {
  std::string title;     // the instruction
  std::string subtitle;  // which checkpoint, on what device, how long it took
  double hz = 0;         // control steps a second; 0: not known
  std::string units = "the robot's own units";  // what the actions are in
  std::optional<RecordedActions> other;         // a motion to compare with, of as many dimensions
  std::string other_name = "recorded";          // what the legend calls it
  std::vector<std::pair<std::string, Image>> images;  // what the robot saw: camera, picture
};

// Over the control steps, or over seconds where the rate is known: each dimension in its own units
// and on its own scale, the other motion (as many of its steps as the chunk has) as a second line,
// a band behind the steps that the robot executes; the images, reduced, at the left. Where
// training's range of a dimension is known, a scale spans a fifth of it at least, so that noise
// looks small, and what lies beyond it is grey. Throws Error (kInvalidInput) when an action is not
// finite or the other motion has another number of dimensions.
std::string plot_svg(const ActionChunk& chunk, const PlotOptions& options);

// The same into a file, whole or not at all; also throws Error (kIo) naming it.
void write_plot(const std::filesystem::path& path, const ActionChunk& chunk,
                const PlotOptions& options);

}  // namespace pi0
