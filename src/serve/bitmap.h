// A camera's image as a browser shows it.
#pragma once

#include <string>

#include "pi0/observation.h"

namespace pi0 {

// A BMP file, 24 bits a pixel: it costs a pass over the pixels, which a PNG's compression would not
// leave at that. So small that neither side exceeds 320 pixels: of a larger image every second
// pixel, or third. The view is one that require_view takes.
std::string to_bitmap(const ImageView& view);

}  // namespace pi0
