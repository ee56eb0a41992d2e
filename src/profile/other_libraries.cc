#include "profile/other_libraries.h"

namespace pi0 {

std::vector<std::unique_ptr<OtherLibrary>> other_libraries() {
  std::vector<std::unique_ptr<OtherLibrary>> libraries;
#ifdef PI0_LIBXSMM
  libraries.push_back(make_libxsmm());
#endif
#ifdef PI0_ONEDNN
  libraries.push_back(make_onednn());
#endif
  return libraries;
}

}  // namespace pi0
