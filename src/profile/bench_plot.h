// Measured times as a drawing: an SVG with a bar a stage.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "profile/bench_report.h"

namespace pi0 {

// The stages' times as horizontal bars, all on one scale, but none so short that it is not seen;
// where a peak was measured, a darker part
// of a bar is how long its work would take at that peak. The other device's bars, in another
// colour, stand below each.
std::string bench_plot_svg(const BenchSubject& subject, const BenchResult& result,
                           const std::optional<BenchOther>& other);

// The same into a file, whole or not at all; throws Error: kInvalidInput where the file's name does
// not end in .svg, kIo where it cannot be written.
void write_bench_plot(const std::filesystem::path& path, const BenchSubject& subject,
                      const BenchResult& result, const std::optional<BenchOther>& other);

}  // namespace pi0
