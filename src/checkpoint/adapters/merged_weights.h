// The weights of a base with adapters merged into them.
#pragma once

#include <memory>

#include "checkpoint/adapters/adapters.h"
#include "model/weights.h"

namespace pi0 {

// Tensors that adapters change are made when they are asked for, in fp32 whatever the base is in:
// no more than one is held beside what a device keeps. Others stay views of their files. `adapters`
// must have passed fit_adapters for the network of `base`.
std::shared_ptr<const WeightSource> merge(std::shared_ptr<const WeightSource> base,
                                          Adapters adapters);

}  // namespace pi0
