// A policy from a pipeline that is there already: the command checks an observation with it before
// weights are prepared.
#pragma once

#include "pi0/policy.h"
#include "policy/pipeline.h"

namespace pi0 {

struct PolicyLoader {
  static Pipeline pipeline(const std::filesystem::path& checkpoint, const PolicyOptions& options);
  static Policy load(Pipeline pipeline, const PolicyOptions& options);
};

}  // namespace pi0
