// For devices that wrap others: their tensors hold another device's, which an operation reads from
// structures that it does not own.
#pragma once

#include "device/device.h"

namespace pi0 {

// The inner tensors of a structure, moved into one of the same kind for the inner device to read,
// and moved back when this goes. `inner` says where a wrapper's storage keeps them.
template <typename Storage, typename Group, Tensor Group::*... members>
class Lent {
 public:
  Lent(const Group& from, Tensor Storage::*inner) : from_(from), inner_(inner) {
    ((lent_.*members = std::move((from_.*members).template as<Storage>().*inner_)), ...);
  }
  ~Lent() { (((from_.*members).template as<Storage>().*inner_ = std::move(lent_.*members)), ...); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  const Group& get() const { return lent_; }

 private:
  const Group& from_;
  Tensor Storage::*inner_;
  Group lent_;
};

template <typename Storage>
using LentKeysValues = Lent<Storage, KeysValues, &KeysValues::keys, &KeysValues::values>;
template <typename Storage>
using LentModulation =
    Lent<Storage, Modulation, &Modulation::scale, &Modulation::shift, &Modulation::gate>;

}  // namespace pi0
