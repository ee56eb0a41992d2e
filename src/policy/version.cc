#include "pi0/version.h"

#define PI0_TEXT_OF(major, minor, patch) #major "." #minor "." #patch
#define PI0_TEXT(...) PI0_TEXT_OF(__VA_ARGS__)

const char* pi0::version() {
  return PI0_TEXT(PI0_VERSION_MAJOR, PI0_VERSION_MINOR, PI0_VERSION_PATCH);
}
