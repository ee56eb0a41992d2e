// The version of libpi0, for the preprocessor and at run time. CMake reads it from here.
#pragma once

#include "pi0/export.h"

#define PI0_VERSION_MAJOR 0
#define PI0_VERSION_MINOR 1
#define PI0_VERSION_PATCH 0

namespace pi0 {

// "0.1.0", of the library that runs; the macros are those of the headers that a program was
// compiled with.
PI0_API const char* version();

}  // namespace pi0
