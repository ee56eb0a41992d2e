// Recordings of what PyTorch computed, as tools/record.py makes them: docs/recordings.md.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "files/safetensors.h"
#include "pi0/network.h"
#include "pi0/observation.h"
#include "policy/pipeline.h"

namespace pi0 {

// A recorded tensor, widened to fp32 (integers and flags too: ids are far below 2^24).
struct RecordedTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// A call of the network with what is left of a chunk before it, and the actions.
struct GuidedCall {
  std::string name;
  int steps = 0;
  RealTimeChunking rtc;
  RecordedTensor actions;
};

// One call of the network alone: its inputs, and what PyTorch had at each stage; or several with
// the same inputs, guided.
struct NetworkRecording {
  NetworkInput input;
  std::vector<float> noise;
  int steps = 0;  // 0: the recording does not say
  std::map<std::string, RecordedTensor> stages;
  std::vector<GuidedCall> guided;
};

// One call of the whole way: an observation, and tokens, normalised state and actions; perhaps the
// actions that followed it in the data, `expert_actions`.
struct RecordedCase {
  std::string name;
  Observation observation;
  std::vector<float> noise;
  int steps = 0;  // Euler steps; 0: as the checkpoint says
  CheckpointOverrides options;
  std::map<std::string, RecordedTensor> results;
};

struct PyTorchRecording {
  std::string where;
  std::optional<NetworkRecording> network;  // or
  std::vector<RecordedCase> cases;
};

// The pipelines that recorded cases ask for, each of which may read its checkpoint with options of
// its own; those of equal options share one, so checkpoint and tokenizer are opened once.
class RecordedPipelines {
 public:
  RecordedPipelines(std::filesystem::path checkpoint, CheckpointOptions options)
      : checkpoint_(std::move(checkpoint)), options_(std::move(options)) {}

  // What a case does not say is as the caller's options have it. Throws Error as Pipeline does.
  const Pipeline& of(const RecordedCase& recorded);

 private:
  std::filesystem::path checkpoint_;
  CheckpointOptions options_;
  std::vector<std::pair<CheckpointOverrides, std::unique_ptr<const Pipeline>>> pipelines_;
};

// `checkpoint` says which cameras older recordings mean. Throws Error (kIo, kInvalidInput) naming
// the file and what is missing or does not fit.
PyTorchRecording read_recording(const std::filesystem::path& path,
                                const CheckpointData& checkpoint);
// The same from a parsed file.
PyTorchRecording parse_recording(const SafeTensors& file, const CheckpointData& checkpoint);

}  // namespace pi0
