// For devices that wrap others: their tensors hold another device's, which an operation reads from
// structures that it does not own.
#pragma once

#include "device/device.h"

namespace pi0 {

// The inner tensors of a structure, moved into one of the same kind for the inner device to read,
// and moved back when this goes. `inner` says where a wrapper's storage keeps them.
template <typename Storage, typename Group, Tensor Group::*... members>
class Unwrapped {
 public:
  Unwrapped(const Group& from, Tensor Storage::*inner) : from_(from), inner_(inner) {
    ((unwrapped_.*members = std::move((from_.*members).template as<Storage>().*inner_)), ...);
  }
  ~Unwrapped() {
    (((from_.*members).template as<Storage>().*inner_ = std::move(unwrapped_.*members)), ...);
  }
  Unwrapped(const Unwrapped&) = delete;
  Unwrapped& operator=(const Unwrapped&) = delete;

  const Group& get() const { return unwrapped_; }

 private:
  const Group& from_;
  Tensor Storage::*inner_;
  Group unwrapped_;
};

template <typename Storage>
using UnwrappedKeysValues = Unwrapped<Storage, KeysValues, &KeysValues::keys, &KeysValues::values>;
// Of a cache that may be null.
template <typename Storage>
class UnwrappedCache {
 public:
  UnwrappedCache(const KeysValues* from, Tensor Storage::*inner) {
    if (from != nullptr) unwrapped_.emplace(*from, inner);
  }
  const KeysValues* get() const { return unwrapped_ ? &unwrapped_->get() : nullptr; }

 private:
  std::optional<UnwrappedKeysValues<Storage>> unwrapped_;
};
template <typename Storage>
using UnwrappedModulation =
    Unwrapped<Storage, Modulation, &Modulation::scale, &Modulation::shift, &Modulation::gate>;

}  // namespace pi0
