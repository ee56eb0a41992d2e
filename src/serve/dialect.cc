#include "serve/dialect.h"

namespace pi0 {

Dialect dialect_of(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/openpi/policy") return Dialect::kSglang;
  if (path == "/v1/realtime/robot/openpi") return Dialect::kVllmOmni;
  return Dialect::kOpenpi;
}

}  // namespace pi0
