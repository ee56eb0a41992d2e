// The library in a program of your own: one camera, one state, one instruction, one chunk.
//
//   cmake -S examples -B build/examples -DCMAKE_PREFIX_PATH=<where libpi0 is installed>
//   cmake --build build/examples
//   build/examples/infer CHECKPOINT CAMERA IMAGE "INSTRUCTION" STATE…
#include <pi0/policy.h>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

float number(const char* text) {
  char* end = nullptr;
  const float value = std::strtof(text, &end);
  if (end == text || *end != '\0') {
    throw std::invalid_argument(std::string("state: ") + text + " is no number");
  }
  return value;
}

int main(int argc, char** argv) {
  if (argc < 6) {
    std::cerr << "usage: infer CHECKPOINT CAMERA IMAGE \"INSTRUCTION\" STATE…\n";
    return 2;
  }
  try {
    pi0::Observation observation;
    observation.images[argv[2]] = pi0::load_image(argv[3]);
    // Or a frame where it lies, until infer() returns: of a cv::Mat in RGB order, say,
    //   observation.views[argv[2]] = {.data = frame.data, .height = frame.rows,
    //                                 .width = frame.cols, .row_stride = frame.step};
    observation.prompt = argv[4];
    for (int i = 5; i < argc; ++i) observation.state.push_back(number(argv[i]));

    const pi0::Policy policy = pi0::Policy::load(argv[1]);
    const pi0::ActionChunk chunk = policy.infer(observation);
    for (const std::string& warning : chunk.warnings) std::cerr << "warning: " << warning << '\n';
    for (int step = 0; step < chunk.n_action_steps; ++step) {
      for (const float action : chunk.row(step)) std::cout << action << ' ';
      std::cout << '\n';
    }
  } catch (const pi0::Error& error) {  // says what was wrong, found and expected
    std::cerr << "infer: " << error.what() << '\n';
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "infer: " << error.what() << '\n';
    return 2;
  }
}
