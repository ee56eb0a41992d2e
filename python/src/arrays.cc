#include "arrays.h"

#include <utility>

namespace pi0 {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, name + ": " + sentence);
}

std::string type_of(nb::handle value) {
  return nb::cast<std::string>(nb::str(nb::type_name(value.type())));
}

// What numpy makes of it; the same memory where it can be.
nb::object as_array(nb::handle value, const std::string& name) {
  const nb::module_ numpy = nb::module_::import_("numpy");
  try {
    const bool dlpack_alone = nb::hasattr(value, "__dlpack__") && !nb::hasattr(value, "__array__");
    nb::object array = numpy.attr(dlpack_alone ? "from_dlpack" : "asarray")(value);
    if (nb::cast<bool>(array.attr("flags").attr("c_contiguous"))) return array;
    ++copies();
    return numpy.attr("ascontiguousarray")(array);
  } catch (nb::python_error& error) {
    if (error.matches(PyExc_KeyboardInterrupt) || error.matches(PyExc_MemoryError)) throw;
    refuse(name, "is a " + type_of(value) +
                     " that is no array here: " + nb::cast<std::string>(nb::str(error.value())));
  }
}

ArrayView view_of(nb::handle array, std::deque<Exported>& kept) {
  ArrayView view;
  view.dtype = nb::cast<std::string>(array.attr("dtype").attr("str"));
  for (nb::handle side : array.attr("shape")) view.shape.push_back(nb::cast<std::int64_t>(side));
  kept.emplace_back(array);
  view.data = kept.back().data();
  return view;
}

void add_values(nb::handle mapping, const std::string& prefix, Values& result) {
  for (nb::handle item : nb::object(mapping.attr("items")())) {
    const nb::handle value = item[1];
    const std::string key = prefix + nb::cast<std::string>(nb::str(item[0]));
    if (value.is_none()) continue;
    if (nb::isinstance<nb::str>(value)) {
      result.values.emplace_back(key, nb::cast<std::string>(value));
    } else if (PyBytes_Check(value.ptr()) || PyByteArray_Check(value.ptr())) {
      const Exported& bytes = result.kept.emplace_back(value);
      result.values.emplace_back(
          key, std::span(static_cast<const std::byte*>(bytes.data()), bytes.size()));
    } else if (nb::hasattr(value, "items")) {
      add_values(value, key + "/", result);
    } else {
      result.values.emplace_back(key, view_of(as_array(value, key), result.kept));
    }
  }
}

}  // namespace

Exported::Exported(nb::handle array) {
  if (PyObject_GetBuffer(array.ptr(), &buffer_, PyBUF_SIMPLE) != 0) throw nb::python_error();
}

std::uint64_t& copies() {
  static std::uint64_t count = 0;  // of who has the GIL
  return count;
}

Values to_values(nb::handle mapping) {
  if (!nb::hasattr(mapping, "items")) {
    refuse("observation", "is a " + type_of(mapping) + ", expected a mapping of the robot's keys");
  }
  Values result;
  add_values(mapping, "", result);
  return result;
}

std::vector<float> to_matrix(nb::handle array, const char* name, int* rows, int* columns) {
  *rows = *columns = 0;
  if (array.is_none()) return {};
  const nb::module_ numpy = nb::module_::import_("numpy");
  const nb::object floats = numpy.attr("ascontiguousarray")(as_array(array, name), "float32");
  std::vector<std::int64_t> shape;
  for (nb::handle side : floats.attr("shape")) shape.push_back(nb::cast<std::int64_t>(side));
  if (!shape.empty()) *columns = static_cast<int>(shape.back());
  if (shape.size() > 1) *rows = static_cast<int>(shape[shape.size() - 2]);
  const Exported exported(floats);
  const auto* const begin = static_cast<const float*>(exported.data());
  return {begin, begin + exported.size() / sizeof(float)};
}

std::vector<float> to_floats(nb::handle array, const char* name) {
  int rows = 0, columns = 0;
  return to_matrix(array, name, &rows, &columns);
}

nb::object to_numpy(std::vector<float> values, std::initializer_list<std::size_t> shape) {
  auto kept = std::make_unique<std::vector<float>>(std::move(values));
  float* const data = kept->data();
  const nb::capsule owner(kept.release(), [](void* pointer) noexcept {
    delete static_cast<std::vector<float>*>(pointer);
  });
  return nb::cast(nb::ndarray<nb::numpy, float>(data, shape, owner));
}

}  // namespace pi0
