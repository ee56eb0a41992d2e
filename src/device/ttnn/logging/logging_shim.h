// Tells a log of every call and every free, and passes them on.
#pragma once

#include <memory>

#include "device/operations.h"
#include "device/ttnn/shim/shim.h"

namespace pi0 {

// `log` must outlive the shim and every tensor that it made.
std::unique_ptr<shim::Api> make_logging_shim(std::unique_ptr<shim::Api> inner, OperationLog& log);

}  // namespace pi0
