// Pillow's Image.resize(…, BILINEAR) on 8-bit RGB, bit for bit that of Pillow 13. Earlier ones
// always make the pass along rows first, which in the shapes where the order now differs (say
// 37 x 100 to 20 x 56) changes some pixels by one.
#pragma once

#include "pi0/observation.h"

namespace pi0 {

// `image`, of 8 bits and kHwc, scaled to width x height, all at least 1. Bilinear with antialias:
// where it shrinks, the filter widens with the scale. After Pillow's libImaging/Resample.c: one
// pass along each side whose length changes, fixed-point weights, 8 bits between the passes.
Image resize_bilinear_pil(const ImageView& image, int width, int height);

}  // namespace pi0
