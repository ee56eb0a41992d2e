// What decode_image (pi0/observation.h) is made of: one decoder a file format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "pi0/observation.h"

namespace pi0 {

// Larger images are refused from their header, before memory is taken for them: a few hundred
// bytes of PNG can claim 2^31 x 2^31 pixels. Four times a 16-megapixel camera's.
constexpr std::int64_t kMaxPixels = 64'000'000;

// An image of that size, all black. Throws Error (kInvalidInput) naming `name` when a side is zero
// or the area is above kMaxPixels.
Image allocate_image(std::int64_t width, std::int64_t height, std::string_view name);

// Told what a file's header says before memory is taken for it; may throw to refuse it.
using SidesCheck = std::function<void(std::int64_t width, std::int64_t height)>;

// As the public one, with a check.
Image decode_image(std::span<const std::byte> bytes, std::string_view name,
                   const SidesCheck& check);

// Each is given the whole file and throws Error (kInvalidInput) naming `name` when it is damaged,
// cut short, too large or of a kind that is not offered.
Image decode_png(std::span<const std::byte> bytes, std::string_view name, const SidesCheck& check);
Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name, const SidesCheck& check);

}  // namespace pi0
