// PI0_API marks what the shared library exports: every class and function that a header here
// declares. All else in it is hidden (-fvisibility=hidden). The static library takes no other
// setting.
#pragma once

#define PI0_API __attribute__((visibility("default")))  // of GCC and clang
