// An image in a message, of whichever type and layout.
#pragma once

#include <string>

#include "robots/robot.h"

namespace pi0 {

// Adds it to the observation as `camera`: among the views where it is used as it lies in the
// message or in `into.pixels`, else among the images. `key` is what an error calls it; `files` as
// of to_observation. Throws Error as to_observation; floats that stay floats are the library's to
// check.
void read_image(const Value& value, const std::string& key, ImageRule rule,
                const std::string& camera, FilePixels& files, RobotObservation& into);

}  // namespace pi0
