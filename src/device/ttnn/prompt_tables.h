// Tables that depend on how many tokens a call's prompt has.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <utility>
#include <vector>

#include "device/ttnn/constants.h"
#include "device/ttnn/shim/shim.h"

namespace pi0 {

// How many tokens a prompt has, and the tables that depend on it. Those stay where they are and are
// written in every call, so that one trace serves all prompts of as many tiles. Queue 0 writes
// them, since it is what reads them.
class PromptTables {
 public:
  // `before_new` is called before a table is allocated.
  PromptTables(shim::Api& api, std::function<void()> before_new, std::int64_t tokens)
      : api_(api), before_new_(std::move(before_new)), tokens_(tokens) {}

  void write(std::int64_t tokens);

  // With the prompt's tokens counted in the run that has them.
  std::vector<TokenRun> counted(std::vector<TokenRun> runs) const;

  // At the positions after those of `before`.
  const RotaryPair& rotary(const std::vector<TokenRun>& before, std::int64_t tokens,
                           const HeadLayout& layout);
  // [1, 1, queries, rows of keys], as Constants has it.
  const shim::Tensor& mask(std::int64_t queries, const std::vector<TokenRun>& runs);

 private:
  struct Rotary {
    std::vector<TokenRun> before;
    std::int64_t tokens;
    HeadLayout layout;
    RotaryPair tables;
  };
  // The host writes a row and the card makes the others of it: at full size 53 KB, not 1.4 MB.
  struct Mask {
    std::vector<TokenRun> runs;
    shim::Tensor row, zeros, all;
  };
  void fill(const Rotary& rotary);
  void fill(const Mask& mask);

  shim::Api& api_;
  std::function<void()> before_new_;
  std::int64_t tokens_;
  std::list<Rotary> rotary_;
  std::list<Mask> masks_;
};

}  // namespace pi0
