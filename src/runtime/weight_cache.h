// Prepared weights, kept in a file from one start to the next: the first start writes it while it
// prepares them, a later one maps it and is ready.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/prepared_memory.h"

namespace pi0 {

// The file is there whole or not at all: it is written beside its place and renamed. It holds its
// own hash, which is checked at each start, and that of the checkpoint's weight files, which is
// compared where their sizes, times or inodes are no longer those that it was made from.
//
// Whatever is wrong with it costs time only: the weights are then prepared from the checkpoint, and
// warnings() says why, in a sentence.
class WeightCache : public PreparedMemory {
 public:
  // `form`: prepared_form() of the device that will ask for the blocks. Throws Error (kIo) when
  // `directory` is none and cannot be made.
  static std::shared_ptr<WeightCache> open(const std::filesystem::path& directory,
                                           const CheckpointData& checkpoint,
                                           const std::string& form);

  // True: every block holds what an earlier start prepared. Its source may then be shapes alone.
  virtual bool ready() const = 0;
  // What to prepare the weights from: the checkpoint's, or, where this is ready, shapes alone but
  // for the token embedding, which stays in its file.
  virtual std::shared_ptr<const WeightSource> source() const = 0;
  // When all blocks hold what they should: puts a new file into its place. Throws Error (kIo) where
  // the checkpoint has been written to since it was opened.
  virtual void finish() = 0;
  virtual const std::vector<std::string>& warnings() const = 0;
};

}  // namespace pi0
