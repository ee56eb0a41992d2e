#include "policy/kept_observation.h"

#include <algorithm>

#include "image/view.h"
#include "policy/pipeline.h"

namespace pi0 {

KeptObservation::KeptObservation(const Observation& observation) : observation_(observation) {
  for (auto& [camera, view] : observation_.views) {
    pixels_.push_back(dense_bytes(view));
    view.data = pixels_.back().data();
    view.row_stride = 0;
    view.plane_stride = 0;
  }
}

bool KeptObservation::says(const Observation& other) const {
  return other.state == observation_.state && other.prompt == observation_.prompt &&
         other.renamed == observation_.renamed && other.images == observation_.images &&
         std::equal(other.views.begin(), other.views.end(), observation_.views.begin(),
                    observation_.views.end(), [](const auto& theirs, const auto& own) {
                      if (theirs.first != own.first) return false;
                      require_view(theirs.second, image_name(theirs.first));
                      return same_pixels(theirs.second, own.second);
                    });
}

}  // namespace pi0
