// oneDNN: its matrix product, weights packed as it likes them best and activations plain, as
// layers give them.
#include <oneapi/dnnl/dnnl.hpp>

#include "profile/other_libraries.h"

// Of the OpenMP runtime that oneDNN brings; the header that declares it is only found by a compiler
// whose own runtime it is.
extern "C" void omp_set_num_threads(int);

namespace pi0 {
namespace {

using dnnl::memory;

memory make_operand(const memory::desc& form, const dnnl::engine& engine) {
  memory operand(form, engine);
  auto* values = static_cast<float*>(operand.get_data_handle());
  const auto count = static_cast<std::int64_t>(form.get_size() / sizeof(float));
  for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(operand_value(i));
  return operand;
}

struct Types {
  memory::data_type rows, weights, sums;
};

Types types_of(std::string_view dtype) {
  using Type = memory::data_type;
  if (dtype == "bf16") return {Type::bf16, Type::bf16, Type::f32};
  // No scales: with one a row, oneDNN 2.6 takes its reference kernel.
  if (dtype == "int8") return {Type::u8, Type::s8, Type::s32};
  return {Type::f32, Type::f32, Type::f32};
}

class OneDnn : public OtherLibrary {
 public:
  std::string name() const override { return "onednn"; }
  std::string version() const override {
    const dnnl::version_t& version = *dnnl::version();
    return std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
           std::to_string(version.patch);
  }

  std::optional<double> seconds(const MatrixShape& shape, std::string_view dtype,
                                int threads) override {
    using Tag = memory::format_tag;
    using Type = memory::data_type;
    omp_set_num_threads(threads);
    const Types types = types_of(dtype);
    const memory::dims rows{shape.rows, shape.depth}, weights{shape.depth, shape.columns},
        sums{shape.rows, shape.columns};
    try {
      const dnnl::matmul::primitive_desc plan({{rows, types.rows, Tag::ab},
                                               {weights, types.weights, Tag::any},
                                               {sums, types.sums, Tag::ab}},
                                              engine_);
      // Its plain loops would take minutes, and compare with nothing.
      if (std::string(plan.impl_info_str()).starts_with("ref")) return std::nullopt;
      memory packed_rows(plan.src_desc(), engine_), packed(plan.weights_desc(), engine_),
          result(plan.dst_desc(), engine_);
      memory plain_rows = make_operand({rows, Type::f32, Tag::ab}, engine_);
      memory plain = make_operand({weights, Type::f32, Tag::ab}, engine_);
      dnnl::reorder(plain_rows, packed_rows).execute(stream_, plain_rows, packed_rows);
      dnnl::reorder(plain, packed).execute(stream_, plain, packed);
      stream_.wait();
      const dnnl::matmul product(plan);
      return best_seconds([&] {
        product.execute(
            stream_,
            {{DNNL_ARG_SRC, packed_rows}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, result}});
        stream_.wait();
      });
    } catch (const dnnl::error&) {  // no such product on this machine
      return std::nullopt;
    }
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

}  // namespace

std::unique_ptr<OtherLibrary> make_onednn() { return std::make_unique<OneDnn>(); }

}  // namespace pi0
