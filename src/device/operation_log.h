// Tells a log of each operation that a device is asked for: for devices that keep no log of their
// own, because an operation of device.h is one step to them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device/backend.h"
#include "device/device.h"
#include "device/operations.h"

namespace pi0 {

// The device runs on the host: operations are recorded so, their operands as fp32 rows, weights
// among them in their file's type. FLOPs are multiplications and additions, those of a linear map
// counted once for each weight and row. Nothing is replayed: work that is not asked for again
// would not be seen. `log` must outlive the device.
std::unique_ptr<Device> make_logging_device(std::unique_ptr<Device> inner, OperationLog& log);

// The same for a device that is not there: nothing is computed, and a download gives zeros. It
// says what a call consists of, in milliseconds; weights may be without data.
std::unique_ptr<Device> make_logging_device(std::string name, OperationLog& log);

// As `request` wants it: what `make` makes, or that recorded, or, without arithmetic, recorded
// alone.
std::unique_ptr<Device> logged_as_asked(const DeviceRequest& request, const std::string& name,
                                        const std::function<std::unique_ptr<Device>()>& make);

}  // namespace pi0
