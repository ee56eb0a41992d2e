#include "device/operation_log.h"
#include "device/reference/reference.h"

namespace pi0 {
namespace {

class ReferenceBackend final : public Backend {
 public:
  DeviceInfo info() const override {
    return {.name = "reference",
            .description = "plain fp32 loops on the CPU: the truth to check against, not fast",
            .only_when_named = true};
  }

  void check(const DeviceRequest&, const DeviceName& name) const override {
    if (name.which || !name.settings.empty()) {
      refuse_device(name.text, "reference takes no settings, expected its name alone");
    }
  }

  OpenDevice open(const DeviceRequest& request, const DeviceName&,
                  const std::string& reason) const override {
    return {.device = logged_as_asked(request, "reference", make_reference_device),
            .description = "reference (" + reason + ")"};
  }

  Holding holding(const DeviceRequest&, const DeviceName&) const override { return {}; }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace pi0
