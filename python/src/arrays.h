// Python's values as libpi0 takes them, and its numbers as numpy has them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "pi0/robot.h"

namespace pi0 {

namespace nb = nanobind;

// A buffer that an object exports, for as long as this lives. Made and destroyed with the GIL.
class Exported {
 public:
  explicit Exported(nb::handle array);
  ~Exported() { PyBuffer_Release(&buffer_); }
  Exported(const Exported&) = delete;
  Exported& operator=(const Exported&) = delete;
  const void* data() const { return buffer_.buf; }
  std::size_t size() const { return static_cast<std::size_t>(buffer_.len); }  // bytes

 private:
  Py_buffer buffer_;
};

// A mapping's values, where they lie.
struct Values {
  RobotValues values = {};
  std::deque<Exported> kept = {};
};

// Mappings in it become keys "a/b"; None is left out. Arrays are whatever numpy takes, by the
// buffer protocol, __array__ or __dlpack__; what does not lie in C order is copied. Throws Error
// (kInvalidInput) naming the key.
Values to_values(nb::handle mapping);

// An array of numbers of any type and shape; None: none. Throws Error (kInvalidInput) naming
// `name`.
std::vector<float> to_floats(nb::handle array, const char* name);
// The same of a matrix; `*rows` and `*columns` are its sides, 0 of None.
std::vector<float> to_matrix(nb::handle array, const char* name, int* rows, int* columns);

// float32 of that shape, which owns them.
nb::object to_numpy(std::vector<float> values, std::initializer_list<std::size_t> shape);

// How many arrays were copied so far because of how they lie or what they hold: for tests.
std::uint64_t& copies();

}  // namespace pi0
