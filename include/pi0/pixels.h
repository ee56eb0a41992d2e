// How the pixels of an image lie in memory, and what their numbers are.
#pragma once

namespace pi0 {

// Which of an image's sides comes first; all in RGB order and with the rows from the top.
enum class PixelLayout {
  kHwc,  // [height, width, 3]: channels last, as of cameras, OpenCV, PIL
  kChw,  // [3, height, width]: a plane for each channel, as of PyTorch
};

enum class PixelType {
  kUint8,
  kFloatUnit,    // float32 in [0, 1], as lerobot's
  kFloatSigned,  // float32 in [-1, 1], as openpi's inside its model
};

}  // namespace pi0
