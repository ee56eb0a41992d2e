// What the command's arguments say, as values. Errors (kInvalidInput unless a file cannot be
// read, kIo) name the argument, what was found and what was expected.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/npy.h"

namespace pi0 {

// --state: "0.1,0.2,…", or a .json file (an array of numbers, or an object with one under
// "state"), or a .npy file of one dimension (a leading dimension of 1 is dropped). Values that
// are not finite are refused, naming the index.
std::vector<float> parse_state(const std::string& text_or_path);

// --image: "base_0_rgb=front.png" is camera and file.
std::pair<std::string, std::filesystem::path> parse_image_argument(const std::string& argument);

// --noise: a .npy file of finite values; whoever uses it checks the shape.
NpyArray read_noise(const std::filesystem::path& path);

}  // namespace pi0
