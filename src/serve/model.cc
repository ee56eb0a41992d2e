#include "serve/model.h"

#include "robots/robot_keys.h"

namespace pi0 {

std::shared_ptr<const ServedModel> open_model(const ServerOptions& options) {
  Checkpoint checkpoint = Checkpoint::open(options.checkpoint, options.read);
  Robot robot = options.keys.empty() ? find_robot(options.robot, checkpoint.info())
                                     : read_robot(options.keys, checkpoint.info());
  std::vector<std::string> warnings = checkpoint.info().warnings;
  const std::vector<std::string> of_robot = robot_warnings(robot, checkpoint.info());
  warnings.insert(warnings.end(), of_robot.begin(), of_robot.end());
  return std::make_shared<const ServedModel>(
      ServedModel{std::move(checkpoint), std::move(robot), std::move(warnings)});
}

}  // namespace pi0
