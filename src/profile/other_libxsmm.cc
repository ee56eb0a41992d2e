// libxsmm: compiled kernels for blocks, around which the loops are ours. It is column-major: our
// weights are its A, our activations its B.
#include <libxsmm.h>

#include <algorithm>

#include "host/thread_pool.h"
#include "profile/other_libraries.h"

namespace pi0 {
namespace {

constexpr std::int64_t kPanel = 32;  // columns of a panel of weights; the last may be narrower

// What there is to say of a type: its kernel, and how many values of depth lie together.
struct Bf16 {
  using Weight = libxsmm_bfloat16;
  using Row = libxsmm_bfloat16;
  using Sum = float;
  static constexpr int kGroup = 2;
  static constexpr auto kDispatch = libxsmm_bsmmdispatch;
  static std::uint16_t value(std::int64_t index) { return operand_bf16(index); }
};
struct Int8 {
  using Weight = char;
  using Row = unsigned char;
  using Sum = int;
  static constexpr int kGroup = 4;
  static constexpr auto kDispatch = libxsmm_subimmdispatch;
  static char value(std::int64_t index) { return static_cast<char>(operand_value(index)); }
};
struct Fp32 {
  using Weight = float;
  using Row = float;
  using Sum = float;
  static constexpr int kGroup = 1;
  static constexpr auto kDispatch = libxsmm_smmdispatch;
  static float value(std::int64_t index) { return static_cast<float>(operand_value(index)); }
};

// Both operands' blocks of depth: at most 2 KiB a row, and equally deep.
template <typename Type>
std::int64_t block_depth(std::int64_t depth) {
  constexpr auto kMost = static_cast<std::int64_t>(2048 / sizeof(typename Type::Row));
  std::int64_t blocks = (depth + kMost - 1) / kMost;
  while (blocks < depth && (depth % blocks != 0 || depth / blocks % Type::kGroup != 0)) ++blocks;
  return depth / blocks;
}

// Of a block of `columns` weights; `add` to what the block before came to.
template <typename Type>
auto kernel_of(const MatrixShape& shape, std::int64_t block, std::int64_t columns, bool add) {
  const int flags = Type::kGroup == 1 ? LIBXSMM_GEMM_FLAG_NONE : LIBXSMM_GEMM_FLAG_VNNI_A;
  const auto m = static_cast<int>(columns), k = static_cast<int>(block);
  const typename Type::Sum alpha = 1, beta = add ? 1 : 0;
  return Type::kDispatch(m, static_cast<int>(shape.rows), k, &m, &k, &m, &alpha, &beta, &flags,
                         nullptr);
}

template <typename Type>
std::optional<double> seconds_of(const MatrixShape& shape, cpu::ThreadPool& pool) {
  const std::int64_t block = block_depth<Type>(shape.depth);
  const std::int64_t full = shape.columns / kPanel, rest = shape.columns % kPanel;
  using Kernel = decltype(kernel_of<Type>(shape, block, kPanel, false));
  Kernel first[2] = {}, next[2] = {};  // of full panels, and of the last
  for (int i = 0; i < 2; ++i) {
    const std::int64_t columns = i == 0 ? std::min(kPanel, shape.columns) : rest;
    if (columns == 0) continue;
    first[i] = kernel_of<Type>(shape, block, columns, false);
    next[i] = kernel_of<Type>(shape, block, columns, true);
    if (first[i] == nullptr || next[i] == nullptr) return std::nullopt;
  }
  // Packed panel by panel [depth / group][columns][group], and block by block [rows][block]: as
  // pseudo-random one order of the values is as good as another.
  std::vector<typename Type::Weight> weights(static_cast<std::size_t>(shape.columns * shape.depth));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = Type::value(static_cast<std::int64_t>(i));
  }
  std::vector<typename Type::Row> rows(static_cast<std::size_t>(shape.rows * shape.depth));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<typename Type::Row>(Type::value(static_cast<std::int64_t>(i)));
  }
  std::vector<typename Type::Sum> sums(static_cast<std::size_t>(shape.rows * shape.columns));
  return best_seconds([&] {
    pool.run(full + (rest != 0), [&](std::int64_t panel, int) {
      const bool last = panel == full;
      const std::int64_t columns = last ? rest : kPanel;
      const typename Type::Weight* panel_weights = &weights[panel * kPanel * shape.depth];
      typename Type::Sum* panel_sums = &sums[panel * kPanel * shape.rows];
      for (std::int64_t begin = 0; begin < shape.depth; begin += block) {
        const Kernel kernel = begin == 0 ? first[last] : next[last];
        kernel(panel_weights + begin * columns, &rows[begin * shape.rows], panel_sums);
      }
    });
  });
}

class Libxsmm : public OtherLibrary {
 public:
  Libxsmm() { libxsmm_init(); }
  ~Libxsmm() override { libxsmm_finalize(); }

  std::string name() const override { return "libxsmm"; }
  std::string version() const override {
    return std::to_string(LIBXSMM_VERSION_MAJOR) + "." + std::to_string(LIBXSMM_VERSION_MINOR);
  }
  std::optional<double> seconds(const MatrixShape& shape, std::string_view dtype,
                                int threads) override {
    const std::shared_ptr<cpu::ThreadPool> pool = cpu::ThreadPool::of_size(threads);
    if (dtype == "bf16") return seconds_of<Bf16>(shape, *pool);
    if (dtype == "int8") return seconds_of<Int8>(shape, *pool);
    return seconds_of<Fp32>(shape, *pool);
  }
};

}  // namespace

std::unique_ptr<OtherLibrary> make_libxsmm() { return std::make_unique<Libxsmm>(); }

}  // namespace pi0
