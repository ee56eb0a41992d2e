// The shim over TTNN beside the emulated one: the same calls give tensors of the same specs, and on
// a card the same values. TTNN's mock device (docs/tenstorrent.md) computes nothing: there, specs.
#include "device/ttnn/real/real_shim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/shim/accuracy_testing.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

using shim::DataType;
using shim::Layout;
using shim::Placement;
using shim::Shape4;

bool is_set(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool is_mock() { return is_set("TT_METAL_MOCK_CLUSTER_DESC_PATH"); }

// How far values may be from the emulated card's: steps of bfloat16, in which operands are rounded,
// at the tensor's largest magnitude. As little as is known to be needed.
constexpr int kExactly = 0;  // what moves values, and sums of fp32
constexpr int kClosely = 2;  // what computes; on Tenstorrent's simulator attention alone is so far

float step_of_largest(const std::vector<float>& values) {
  float largest = std::numeric_limits<float>::min();
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return std::ldexp(1.0f, std::ilogb(largest) - 7);
}

std::vector<float> values(const Shape4& shape, float phase) {
  std::vector<float> values(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(0.37f * static_cast<float>(i) + phase);
  }
  return values;
}

// Calls with small odd shapes; what they gave, by name.
class Calls {
 public:
  explicit Calls(shim::Api& api) : api_(api) {}

  struct Result {
    shim::Tensor tensor;
    int steps;
  };
  std::map<std::string, Result> results;

  shim::Tensor make(const Shape4& shape, DataType type = DataType::kBfloat16,
                    Layout layout = Layout::kTile, Placement placement = Placement::kDram) {
    return api_.to_device(values(shape, static_cast<float>(++made_)), shape, type, layout,
                          placement);
  }
  shim::Tensor keep(const std::string& name, shim::Tensor tensor, int steps = kExactly) {
    results[name] = {tensor, steps};
    return tensor;
  }

  // 5 rows of 70 columns -> 100, as 2 x 2 cores with a block each, or as 4 with all rows.
  shim::LinearOptions linear(bool one_dimension) const {
    shim::LinearOptions options;
    options.program_config.one_dimension = one_dimension;
    options.program_config.grid = {2, 2};
    options.program_config.per_core_M = 1;
    options.program_config.per_core_N = one_dimension ? 1 : 2;
    options.program_config.out_block_h = 1;
    options.program_config.out_block_w = options.program_config.per_core_N;
    return options;
  }

  void host() {
    keep("float32", make({1, 2, 5, 70}, DataType::kFloat32));
    keep("bfloat8_b", make({1, 1, 40, 70}, DataType::kBfloat8B));
    keep("bfloat4_b", make({1, 1, 40, 70}, DataType::kBfloat4B));
    keep("row_major", make({1, 3, 5, 6}, DataType::kBfloat16, Layout::kRowMajor));
    const auto written = make({1, 1, 5, 70}, DataType::kBfloat16, Layout::kTile, Placement::kL1);
    api_.wait_for_event(1, *api_.record_event(0));
    api_.copy_to_device(values({1, 1, 5, 70}, 0.5f), written, 1);
    api_.wait_for_event(0, *api_.record_event(1));
    keep("copy_to_device", written);
  }

  void shapes() {
    const auto x = make({1, 1, 64, 96});
    keep("view", api_.view(x, {1, 2, 20, 96}, {1, 2, 32, 96}));
    keep("view of a view", api_.view(results["view"].tensor, {2, 1, 32, 96}, {2, 1, 32, 96}));
    keep("reshape", api_.reshape(make({1, 1, 10, 96}), {1, 2, 5, 96}, Placement::kL1));
    keep("reshape in place", api_.reshape(x, {1, 2, 32, 96}, Placement::kDram));
    keep("to_layout row_major",
         api_.to_layout(make({1, 1, 5, 70}), Layout::kRowMajor, Placement::kDram));
    const auto images = make({2, 28, 2, 42}, DataType::kBfloat16, Layout::kRowMajor);
    const auto patches = keep("fold", api_.fold(images, 14, 1));
    keep("to_layout tile", api_.to_layout(patches, Layout::kTile, Placement::kL1));
    const std::vector<shim::Tensor> parts{make({1, 2, 32, 64}), make({1, 2, 5, 64})};
    keep("concat", api_.concat(parts, 2, Placement::kDram));
    const std::vector<shim::Tensor> odd{make({1, 2, 3, 64}), make({1, 2, 5, 64})};
    keep("concat of padded rows", api_.concat(odd, 2, Placement::kL1));
    keep("slice", api_.slice(x, {0, 0, 32, 32}, {1, 1, 40, 96}, Placement::kL1));
  }

  void arithmetic() {
    const auto a = make({1, 1, 5, 70});
    const auto weight = make({1, 1, 70, 100}, DataType::kBfloat8B);
    const auto bias = make({1, 1, 1, 100});
    keep("linear", api_.linear(a, weight, nullptr, linear(false)), kClosely);
    auto options = linear(true);
    options.activation = shim::Unary::kGelu;
    options.dtype = DataType::kFloat32;
    options.placement = Placement::kL1;
    keep("linear with all", api_.linear(a, weight, &bias, options), kClosely);
    const auto batch = make({2, 1, 5, 70});
    keep("linear of a batch", api_.linear(batch, weight, nullptr, linear(false)), kClosely);
    shim::NormOptions norm;
    norm.epsilon = 1e-6f;
    norm.placement = Placement::kL1;
    const auto gain = make({1, 1, 1, 70});
    const auto shift = make({1, 1, 1, 70});
    keep("layer_norm", api_.layer_norm(a, gain, shift, norm), kClosely);
    keep("rms_norm", api_.rms_norm(a, gain, nullptr, norm), kClosely);
    keep("rms_norm with bias", api_.rms_norm(a, gain, &shift, norm), kClosely);
    const auto b = make({1, 1, 5, 70});
    keep("add", api_.add(a, b, {}), kClosely);
    keep("add a row", api_.add(a, gain, {}), kClosely);
    keep("add to a batch", api_.add(batch, b, {}), kClosely);
    keep("multiply",
         api_.multiply(a, b, {.placement = Placement::kL1, .lhs_activation = shim::Unary::kSilu}),
         kClosely);
    keep("multiply by a number", api_.multiply(a, 0.25f, {.dtype = DataType::kFloat32}), kClosely);
    const auto sum = make({1, 1, 5, 70}, DataType::kFloat32);
    keep("add in place", api_.add(sum, results["multiply by a number"].tensor,
                                  {.dtype = DataType::kFloat32, .output = &sum}));
    keep("add a number", api_.add(a, 1.5f, {}), kClosely);
  }

  void transformer() {
    const shim::Heads heads =
        api_.nlp_create_qkv_heads(make({1, 1, 40, 4 * 64}), nullptr, 2, 1, Placement::kL1);
    keep("queries", heads.q);
    keep("keys", heads.k);
    keep("values", heads.v);
    const auto kv = make({1, 1, 40, 2 * 64});
    keep("queries apart",
         api_.nlp_create_qkv_heads(make({1, 1, 40, 4 * 64}), &kv, 4, 1, Placement::kDram).q);
    const auto cos = make({1, 1, 40, 64});
    const auto sin = make({1, 1, 40, 64});
    const auto turned = keep(
        "rotary_embedding", api_.rotary_embedding(heads.q, cos, sin, Placement::kL1, {}), kClosely);
    const auto q = keep("turned", api_.view(turned, {1, 2, 40, 64}, {1, 2, 64, 64}), kClosely);
    shim::SdpaOptions options;
    options.scale = 0.125f;
    options.grid = {4, 4};
    options.k_chunk_size = 64;
    keep("attention", api_.scaled_dot_product_attention(q, heads.k, heads.v, nullptr, options),
         kClosely);
    const auto mask = make({1, 1, 40, 40});
    keep("attention with a mask",
         api_.scaled_dot_product_attention(q, heads.k, heads.v, &mask, options), kClosely);
    keep("nlp_concat_heads", api_.nlp_concat_heads(results["attention"].tensor, Placement::kL1),
         kClosely);
  }

 private:
  shim::Api& api_;
  int made_ = 0;
};

std::string text(const shim::TensorSpec& spec) {
  const auto list = [](const Shape4& shape) { return shape_text({shape.begin(), shape.end()}); };
  return list(spec.shape) + " in " + list(spec.padded) + " " + name_of(spec.dtype) + " " +
         name_of(spec.layout) + " " + name_of(spec.placement);
}

class RealShim : public testing::Test {
 protected:
  void SetUp() override {
    if (count_cards() == 0) {
      GTEST_SKIP() << "NOT CHECKED: no Tenstorrent card, and no mock "
                      "(TT_METAL_MOCK_CLUSTER_DESC_PATH)";
    }
    real_ = make_real_shim(0);
    emulated_ = make_emulated_shim(*find_card(real_->card().arch == "blackhole" ? "p150" : "n150"));
  }

  void expect_same(void (Calls::*calls)()) {
    Calls real(*real_), emulated(*emulated_);
    (real.*calls)();
    (emulated.*calls)();
    ASSERT_FALSE(real.results.empty());
    for (const auto& [name, result] : real.results) {
      const shim::Tensor& other = emulated.results[name].tensor;
      EXPECT_EQ(text(result.tensor.spec()), text(other.spec())) << name;
      const std::vector<float> got = real_->to_host(result.tensor);
      const std::vector<float> expected = emulated_->to_host(other);
      ASSERT_EQ(got.size(), expected.size()) << name;
      if (is_mock()) continue;
      const float tolerance = static_cast<float>(result.steps) * step_of_largest(expected);
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], expected[i], tolerance) << name << " element " << i;
      }
    }
    // The largest of what was made goes, and is gone.
    const std::int64_t before = real_->memory().live_tensors;
    real.results.clear();
    EXPECT_LT(real_->memory().live_tensors, before);
    EXPECT_EQ(real_->memory().live_tensors, 0);
    EXPECT_EQ(real_->memory().l1_bytes_per_core, 0);
  }

  // The sentence that a refused call throws.
  std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
      return error.what();
    }
    return "";
  }

  std::unique_ptr<shim::Api> real_, emulated_;
};

TEST_F(RealShim, SaysWhatItIs) {
  EXPECT_EQ(real_->description().rfind("TTNN ", 0), 0U) << real_->description();
  EXPECT_NE(real_->description().find(" on " + real_->card().name), std::string::npos);
  EXPECT_GE(real_->card().cores(), 56);
  EXPECT_GT(real_->card().l1_bytes, 1 << 20);
  EXPECT_GT(real_->card().dram_bytes(), std::int64_t{8} << 30);
  EXPECT_EQ(real_->can_trace(), !is_set("TT_METAL_SLOW_DISPATCH_MODE"));
}

TEST_F(RealShim, OpensACardOnceAndAgainAfterwards) {
  EXPECT_NE(refusal([] { make_real_shim(0); }).find("open already"), std::string::npos);
  EXPECT_NE(refusal([] { make_real_shim(99); }).find("no such card"), std::string::npos);
  const shim::Tensor outlives =
      real_->to_device({}, {1, 1, 32, 32}, DataType::kBfloat16, Layout::kTile, Placement::kL1);
  real_.reset();
  real_ = make_real_shim(0);
  EXPECT_EQ(real_->memory().live_tensors, 0);
}

TEST_F(RealShim, MovesTensorsAsTheEmulatedOne) { expect_same(&Calls::host); }
TEST_F(RealShim, ShapesAsTheEmulatedOne) { expect_same(&Calls::shapes); }
TEST_F(RealShim, ComputesAsTheEmulatedOne) { expect_same(&Calls::arithmetic); }
TEST_F(RealShim, AttendsAsTheEmulatedOne) { expect_same(&Calls::transformer); }

// Which of the two is nearer to the exact result, and by how much, is printed; none may be much
// farther than the other.
TEST_F(RealShim, IsAsExactAsTheEmulatedOne) {
  if (is_mock()) GTEST_SKIP() << "NOT CHECKED: TTNN's mock computes nothing";
  const std::vector<shim::OperationError> real = shim::AccuracyTable(*real_).measure();
  const std::vector<shim::OperationError> emulated = shim::AccuracyTable(*emulated_).measure();
  ASSERT_EQ(real.size(), emulated.size());
  std::printf("%-32s %9s %10s %10s %10s %10s\n", "share of the exact result's", "magnitude", "rms",
              "emulated", "largest", "emulated");
  for (std::size_t i = 0; i < real.size(); ++i) {
    const double size = real[i].magnitude;
    std::printf("%-32s %9.4f %10.2e %10.2e %10.2e %10.2e\n", real[i].operation.c_str(), size,
                real[i].rms, emulated[i].rms, real[i].largest / size, emulated[i].largest / size);
    EXPECT_LE(real[i].rms, 1.2 * emulated[i].rms + 1e-4) << real[i].operation;
    EXPECT_LE(emulated[i].rms, 1.2 * real[i].rms + 1e-4) << real[i].operation;
  }
}

TEST_F(RealShim, ViewsShareMemory) {
  shim::Tensor x =
      real_->to_device({}, {1, 1, 64, 96}, DataType::kBfloat16, Layout::kTile, Placement::kL1);
  const std::int64_t bytes = real_->memory().l1_bytes_per_core;
  EXPECT_GT(bytes, 0);
  shim::Tensor y = real_->view(x, {1, 2, 32, 96}, {1, 2, 32, 96});
  EXPECT_EQ(y.buffer(), x.buffer());
  // Where nothing has to move, TTNN's reshape is a view too.
  EXPECT_EQ(real_->reshape(x, {1, 2, 32, 96}, Placement::kL1).buffer(), x.buffer());
  EXPECT_EQ(real_->memory().l1_bytes_per_core, bytes);
  x = {};
  EXPECT_EQ(real_->memory().l1_bytes_per_core, bytes);
  y = {};
  EXPECT_EQ(real_->memory().l1_bytes_per_core, 0);
  EXPECT_EQ(real_->memory().live_tensors, 0);
}

TEST_F(RealShim, RefusesInASentence) {
  Calls calls(*real_);
  const auto weight = calls.make({1, 1, 64, 64});
  const auto rows = calls.make({1, 1, 32, 64}, DataType::kBfloat16, Layout::kRowMajor);
  EXPECT_EQ(refusal([&] {
              real_->linear(rows, weight, nullptr, calls.linear(false));
            }).rfind("ttnn linear: ", 0),
            0U);
  const auto q = calls.make({1, 2, 64, 64});
  const auto mask = calls.make({1, 1, 64, 32});
  shim::SdpaOptions options;
  options.grid = {4, 4};
  const std::string sentence =
      refusal([&] { real_->scaled_dot_product_attention(q, q, q, &mask, options); });
  EXPECT_EQ(sentence.rfind("ttnn scaled_dot_product_attention: ", 0), 0U) << sentence;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  EXPECT_NE(refusal([&] {
              real_->to_device(std::vector<float>(3), {1, 1, 32, 32}, DataType::kBfloat16,
                               Layout::kTile, Placement::kDram);
            }),
            "");
}

TEST_F(RealShim, SaysWhenMemoryIsOut) {
  try {
    real_->to_device({}, {1, 1, 32 * 1024, 8192}, DataType::kBfloat16, Layout::kTile,
                     Placement::kL1);
    FAIL() << "512 MB fitted into L1";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.what();
    EXPECT_NE(std::string(error.what()).find("hidden=dram"), std::string::npos) << error.what();
  }
}

TEST_F(RealShim, ReplaysATrace) {
  if (!real_->can_trace()) GTEST_SKIP() << "NOT CHECKED: no traces with slow dispatch";
  Calls calls(*real_);
  const auto x = calls.make({1, 1, 5, 70});
  real_->add(x, 1.0f, {});  // compiles
  real_->synchronize();
  real_->begin_trace_capture();
  const auto y = real_->add(x, 1.0f, {});
  const auto trace = real_->end_trace_capture();
  real_->wait_for_event(1, *real_->record_event(0));
  real_->copy_to_device(std::vector<float>(5 * 70, 2.0f), x, 1);
  real_->wait_for_event(0, *real_->record_event(1));
  real_->execute_trace(*trace);
  for (const float value : real_->to_host(y)) ASSERT_EQ(value, 3.0f);
}

}  // namespace
}  // namespace pi0
