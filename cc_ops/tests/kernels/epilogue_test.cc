// Epilogue of every kernel set: each value against the float expression and the steps, one rounding per operation, and
// nothing read or written beside the tensors.
#include "kernels/epilogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "support/guarded_array.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr Range kRanges[] = {kNoActivation, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};

// The tensors of one layer: `images` images of `image_pixels` pixels.
struct Shape {
  int groups = 1, channels_out = 1, images = 1, image_pixels = 1;

  int pixels() const { return images * image_pixels; }
};

struct Step {
  StepKind kind;
  OperandShape shape = OperandShape::kChannels;
  bool is_int8 = false;
  float scale = 0.0f;
  int zero_point = 0;
  std::vector<float> floats;  // the operand, of `shape`
  std::vector<std::int8_t> int8s;

  // The operand's value for a pixel and a channel.
  float At(const Shape& of, int pixel, int channel) const {
    const int row = shape == OperandShape::kPixels   ? pixel
                    : shape == OperandShape::kImages ? pixel / of.image_pixels
                                                     : 0;
    const int at = row * of.channels_out + channel;
    if (!is_int8) return floats[at];
    volatile float value = static_cast<float>(int8s[at] - zero_point);
    value = value * scale;
    return value;
  }
};

Step RandomStep(StepKind kind, OperandShape shape, bool is_int8, const Shape& of, Random* random) {
  Step step;
  step.kind = kind;
  if (!ReadsOperand(kind)) return step;
  step.shape = shape;
  step.is_int8 = is_int8 && shape != OperandShape::kChannels;
  const int rows = shape == OperandShape::kPixels ? of.pixels() : shape == OperandShape::kImages ? of.images : 1;
  step.scale = std::ldexp(1.0f + static_cast<float>(random->Int(0, 9)) / 10.0f, random->Int(-6, 0));
  step.zero_point = random->Int(-128, 127);
  if (step.is_int8) {
    for (const int q : random->Ints(rows * of.channels_out, -128, 127)) {
      step.int8s.push_back(static_cast<std::int8_t>(q));
    }
  } else {
    step.floats = random->Floats(rows * of.channels_out);
  }
  return step;
}

float PlainStepOf(const Step& step, float y, float a) {
  volatile float result = y;
  const auto clamp = [&](float low, float high) {
    if (result < low) result = low;
    if (result > high) result = high;
  };
  switch (step.kind) {
    case StepKind::kAdd:
      result = y + a;
      break;
    case StepKind::kMultiply:
      result = y * a;
      break;
    case StepKind::kDivide:
      result = y / a;
      break;
    case StepKind::kPRelu:
      if (y < 0.0f) result = y * a;
      break;
    case StepKind::kRelu:
      clamp(0.0f, kInfinity);
      break;
    case StepKind::kReluN1To1:
      clamp(-1.0f, 1.0f);
      break;
    case StepKind::kRelu6:
      clamp(0.0f, 6.0f);
      break;
    case StepKind::kOutput:
      break;
  }
  return result;
}

int PlainInt8(float y, float scale, int zero_point) {
  volatile float quotient = y / scale;
  if (std::isnan(quotient)) return -128;
  const double rounded = std::round(static_cast<double>(quotient)) + zero_point;  // halves away from 0
  return static_cast<int>(std::min(std::max(rounded, -128.0), 127.0));
}

class EpilogueTest : public KernelSetTest {
 protected:
  template <typename Acc>
  std::vector<Acc> RandomAcc(int count, Random* random) {
    std::vector<Acc> acc;
    for (int i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<Acc, float>) {
        acc.push_back(random->Float());
      } else {
        acc.push_back(random->OneIn(5) ? random->Int(-(1 << 30), 1 << 30) : random->Int(-40, 40));
      }
    }
    return acc;
  }

  // Runs all tiles and blocks, and compares y and bits with plain arithmetic.
  template <typename Acc>
  void ExpectPlainOutputs(const Shape& shape, const std::vector<Step>& steps, OutputType y_type, bool bits, Edge edge,
                          Random* random) {
    const int channels = shape.channels_out;
    const KernelShape kernel = {shape.groups, channels, 1, 1, 1};
    const std::vector<float> multiplier = random->Floats(channels);
    const std::vector<float> bias = random->Floats(channels);
    EpilogueLayer layer = {};
    layer.y = y_type;
    layer.bits = bits;
    layer.scale = 0.37f;
    layer.zero_point = random->Int(-128, 127);
    layer.pre_activation = kRanges[random->Int(0, 3)];
    layer.activation = kRanges[random->OneIn(2) ? 0 : random->Int(0, 3)];
    layer.multiplier = multiplier.data();
    layer.bias = bias.data();
    std::vector<OperandShape> shapes;
    std::vector<GuardedArray<float>> floats;
    std::vector<GuardedArray<std::int8_t>> int8s;
    std::vector<const void*> operands;
    for (const Step& step : steps) {
      const bool constant = ReadsOperand(step.kind) && step.shape == OperandShape::kChannels;
      layer.steps.push_back(
          {step.kind, constant ? step.floats.data() : nullptr, step.is_int8, step.scale, step.zero_point});
      shapes.push_back(step.shape);
      if (!ReadsOperand(step.kind)) continue;
      if (constant) {
        operands.push_back(nullptr);  // the constructor has read it
      } else if (step.is_int8) {
        operands.push_back(int8s.emplace_back(step.int8s, edge).data());
      } else {
        operands.push_back(floats.emplace_back(step.floats, edge).data());
      }
    }
    const int words = WordsFor(channels);
    GuardedArray<float> y_floats(y_type == OutputType::kFloat32 ? shape.pixels() * channels : 0, edge);
    GuardedArray<std::int8_t> y_int8s(y_type == OutputType::kInt8 ? shape.pixels() * channels : 0, edge);
    GuardedArray<Word> y_words(bits ? shape.pixels() * words : 0, edge);
    std::fill(y_words.begin(), y_words.end(), 0xa5a5a5a5u);
    std::vector<void*> outputs;
    if (y_type == OutputType::kFloat32) outputs.push_back(y_floats.data());
    if (y_type == OutputType::kInt8) outputs.push_back(y_int8s.data());
    if (bits) outputs.push_back(y_words.data());

    Epilogue epilogue(kernels(), kernel, layer);
    epilogue.Resize(shape.image_pixels, shapes);
    epilogue.Bind({operands.data(), outputs.data()});
    // acc[pixel][block][32], handed over in tiles.
    const int blocks = kernel.blocks();
    const std::vector<Acc> acc = RandomAcc<Acc>(shape.pixels() * blocks * kBlockChannels, random);
    for (int first = 0, count = 0; first < shape.pixels(); first += count) {
      count = std::min(random->Int(1, kMaxTilePixels), shape.pixels() - first);
      if (epilogue.SplitsWords()) epilogue.ClearBits(first, count);
      for (int block = 0; block < blocks; ++block) {
        std::vector<Acc> tile;
        for (int p = first; p < first + count; ++p) {
          const auto from = acc.begin() + (p * blocks + block) * kBlockChannels;
          tile.insert(tile.end(), from, from + kBlockChannels);
        }
        const GuardedArray<Acc> guarded(tile, edge);
        epilogue.Finish(guarded.data(), first, count, block);
      }
    }

    const int group_channels = kernel.group_channels_out();
    for (int p = 0; p < shape.pixels(); ++p) {
      for (int c = 0; c < channels; ++c) {
        SCOPED_TRACE("pixel " + std::to_string(p) + ", channel " + std::to_string(c));
        const int block = c / group_channels * kernel.group_blocks() + c % group_channels / kBlockChannels;
        const Acc sum = acc[(p * blocks + block) * kBlockChannels + c % group_channels % kBlockChannels];
        float now = PlainTransform(sum, multiplier[c], bias[c], layer.pre_activation, layer.activation);
        float first = 0.0f;
        bool given = false;
        for (const Step& step : steps) {
          if (step.kind == StepKind::kOutput) {
            first = now;
            given = true;
          } else {
            now = PlainStepOf(step, now, ReadsOperand(step.kind) ? step.At(shape, p, c) : 0.0f);
          }
        }
        if (!given) first = now;
        const int at = p * channels + c;
        if (y_type == OutputType::kFloat32) {
          ASSERT_TRUE(SameFloat(y_floats[at], first)) << y_floats[at] << " and not " << first;
        }
        if (y_type == OutputType::kInt8) {
          ASSERT_EQ(y_int8s[at], PlainInt8(first, layer.scale, layer.zero_point));
        }
        if (bits) {
          ASSERT_EQ(y_words[p * words + c / 32] >> c % 32 & 1u, now < 0.0f ? 1u : 0u) << now;
        }
      }
      if (bits && channels % 32 != 0) {
        ASSERT_EQ(y_words[p * words + words - 1] >> channels % 32, 0u);
      }
    }
  }

  // For both kinds of accumulators, both edges and every combination of outputs.
  void ExpectPlainOutputsOfAllTypes(const Shape& shape, const std::vector<Step>& steps, Random* random) {
    const bool splits =
        std::any_of(steps.begin(), steps.end(), [](const Step& s) { return s.kind == StepKind::kOutput; });
    for (const OutputType y : {OutputType::kNone, OutputType::kFloat32, OutputType::kInt8}) {
      for (const bool bits : {false, true}) {
        const bool both = y != OutputType::kNone && bits;
        if ((y == OutputType::kNone && !bits) || (splits && !both)) continue;
        const Edge edge = kEdges[random->Int(0, 1)];
        SCOPED_TRACE("y " + std::to_string(static_cast<int>(y)) + (bits ? " and bits" : ""));
        ExpectPlainOutputs<std::int32_t>(shape, steps, y, bits, edge, random);
        ExpectPlainOutputs<float>(shape, steps, y, bits, edge, random);
      }
    }
  }
};

TEST_P(EpilogueTest, NoSteps) {
  Random random(1);
  for (const int channels : {1, 31, 32, 33, 64, 100}) ExpectPlainOutputsOfAllTypes({1, channels, 2, 7}, {}, &random);
}

TEST_P(EpilogueTest, EachStepWithEachOperand) {
  std::uint32_t seed = 100;
  for (int kind = 1; kind <= 8; ++kind) {
    for (const OperandShape operand : {OperandShape::kChannels, OperandShape::kImages, OperandShape::kPixels}) {
      for (const bool is_int8 : {false, true}) {
        for (const int channels : {5, 32, 70}) {
          Random random(++seed);
          SCOPED_TRACE("step " + std::to_string(kind) + ", seed " + std::to_string(seed));
          const Shape shape = {1, channels, 3, 5};  // tiles of 8 pixels reach over the ends of images
          const Step step = RandomStep(static_cast<StepKind>(kind), operand, is_int8, shape, &random);
          ExpectPlainOutputsOfAllTypes(shape, {step}, &random);
        }
      }
    }
  }
}

TEST_P(EpilogueTest, RandomSteps) {
  for (std::uint32_t seed = 1000; seed < 1060; ++seed) {
    Random random(seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    Shape shape;
    shape.groups = random.OneIn(2) ? 1 : random.Int(2, 4);
    shape.channels_out = shape.groups * (random.OneIn(3) ? 32 * random.Int(1, 2) : random.Int(1, 70));
    shape.images = random.Int(1, 4);
    shape.image_pixels = random.Int(1, 11);
    std::vector<Step> steps;
    bool given = false;
    const int count = random.OneIn(8) ? kMaxSteps : random.Int(1, 5);
    for (int i = 0; i < count; ++i) {
      auto kind = static_cast<StepKind>(random.Int(1, 8));
      if (kind == StepKind::kOutput && given) kind = StepKind::kAdd;
      given = given || kind == StepKind::kOutput;
      steps.push_back(RandomStep(kind, static_cast<OperandShape>(random.Int(0, 2)), random.OneIn(2), shape, &random));
    }
    ExpectPlainOutputsOfAllTypes(shape, steps, &random);
  }
}

// A fused multiply-add would keep the bits of the product that the product's own rounding drops.
TEST_P(EpilogueTest, ProductAndSumOfStepsRoundSeparately) {
  const std::vector<float> ones(kBlockChannels, 1.0f);
  const std::vector<float> zeros(kBlockChannels, 0.0f);
  const std::vector<float> factor(kBlockChannels, 4097.0f);
  const std::vector<float> term(kBlockChannels, -16785408.0f);  // the product is 16785409, which rounds to 16785408
  EpilogueLayer layer = {};
  layer.y = OutputType::kFloat32;
  layer.pre_activation = layer.activation = kNoActivation;
  layer.multiplier = ones.data();
  layer.bias = zeros.data();
  layer.steps = {{StepKind::kMultiply, factor.data(), false, 0.0f, 0}, {StepKind::kAdd, term.data(), false, 0.0f, 0}};
  const KernelShape kernel = {1, kBlockChannels, 1, 1, 1};
  Epilogue epilogue(kernels(), kernel, layer);
  epilogue.Resize(1, {OperandShape::kChannels, OperandShape::kChannels});
  const std::vector<std::int32_t> acc(kBlockChannels, 4097);
  std::vector<float> y(kBlockChannels, 7.0f);
  const void* const operands[] = {nullptr, nullptr};
  void* const outputs[] = {y.data()};
  epilogue.Bind({operands, outputs});
  epilogue.Finish(acc.data(), 0, 1, 0);
  EXPECT_EQ(y, zeros);
}

TEST_P(EpilogueTest, Int8RoundsHalvesAwayFromZeroAndClamps) {
  const float y[] = {0.25f,  0.75f,   1.25f, -0.25f, -0.75f, -1.25f,    0.24999999f,     -0.24999999f,
                     -60.0f, -100.0f, 63.5f, 100.0f, 1e30f,  kInfinity, std::nanf(""),   -kInfinity,
                     -0.0f,  0.0f,    62.0f, -62.5f, 61.9f,  -61.75f,   -61.7499999999f, 0x1p-149f};
  // y / 0.5 + 1: halves away from 0 before the zero point is added.
  const int expected[] = {2,   3,   4,    0,    -1, -2, 1,   1,    -119, -128, 127,  127,
                          127, 127, -128, -128, 1,  1,  125, -124, 125,  -123, -123, 1};
  const std::vector<float> ones(kBlockChannels, 1.0f);
  const std::vector<float> minus_zeros(kBlockChannels, -0.0f);
  EpilogueLayer layer = {};
  layer.y = OutputType::kInt8;
  layer.scale = 0.5f;
  layer.zero_point = 1;
  layer.pre_activation = layer.activation = kNoActivation;
  layer.multiplier = ones.data();
  layer.bias = minus_zeros.data();
  constexpr int kCount = sizeof(y) / sizeof(y[0]);
  const KernelShape kernel = {1, kCount, 1, 1, 1};
  Epilogue epilogue(kernels(), kernel, layer);
  epilogue.Resize(1, {});
  std::vector<float> acc(kBlockChannels, 0.0f);
  std::copy(std::begin(y), std::end(y), acc.begin());
  std::vector<std::int8_t> found(kCount);
  void* const outputs[] = {found.data()};
  epilogue.Bind({nullptr, outputs});
  epilogue.Finish(acc.data(), 0, 1, 0);
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(found[i], expected[i]) << y[i];
}

TEST_P(EpilogueTest, AMultiplierOfOneAndABiasOfMinusZeroChangeNothing) {
  const std::vector<float> ones(kBlockChannels, 1.0f);
  const std::vector<float> minus_zeros(kBlockChannels, -0.0f);
  EpilogueLayer layer = {};
  layer.y = OutputType::kFloat32;
  layer.pre_activation = layer.activation = kNoActivation;
  layer.multiplier = ones.data();
  layer.bias = minus_zeros.data();
  const KernelShape kernel = {1, kBlockChannels, 1, 1, 1};
  Epilogue epilogue(kernels(), kernel, layer);
  epilogue.Resize(1, {});
  std::vector<float> acc = Random(3).Floats(kBlockChannels);
  acc[0] = -0.0f;
  acc[1] = 0.0f;
  acc[2] = -kInfinity;
  acc[3] = std::nanf("");
  acc[4] = 0x1p-149f;
  std::vector<float> y(kBlockChannels, 7.0f);
  void* const outputs[] = {y.data()};
  epilogue.Bind({nullptr, outputs});
  epilogue.Finish(acc.data(), 0, 1, 0);
  for (int i = 0; i < kBlockChannels; ++i) EXPECT_TRUE(SameFloat(y[i], acc[i])) << acc[i];
}

FOR_EACH_KERNEL_SET(EpilogueTest);

}  // namespace
}  // namespace keras_bnn
