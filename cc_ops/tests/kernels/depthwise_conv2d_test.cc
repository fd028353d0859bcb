// DepthwiseConv2D of every kernel set against a direct convolution of +1 and -1.
#include "kernels/depthwise_conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/allocation_counter.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/random_layer.h"
#include "support/sums.h"

namespace keras_bnn {
namespace {

class DepthwiseConv2DTest : public KernelSetTest {
 protected:
  // Of `shape`, channels_out is a multiple of channels_in.
  void ExpectPlainSums(const ConvShape& shape, int batch, int height, int width, int threads, Edge edge,
                       std::uint32_t seed) {
    SCOPED_TRACE(shape.Text() + ", image " + std::to_string(height) + "x" + std::to_string(width) + ", seed " +
                 std::to_string(seed));
    Random random(seed);
    const int taps = shape.kernel_h * shape.kernel_w;
    const std::vector<int> weights = random.Signs(taps * shape.channels_out);
    const std::vector<Word> packed = PackSigns(weights, shape.channels_out);
    const std::vector<int> x = random.Signs(batch * height * width * shape.channels_in);
    const SumsLayer sums({1, shape.channels_out, taps, WordsFor(shape.channels_out), shape.channels_in}, packed,
                         shape.pad_value);
    pool_.Grow(threads);

    DepthwiseConv2D conv(kernels(), sums.layer());
    conv.Resize(batch, shape.Vertical(height), shape.Horizontal(width), threads, {});
    ExpectSums(&conv, PackSigns(x, shape.channels_in), PlainSums(shape, x, weights, batch, height, width),
               shape.channels_out, &pool_, edge);
  }

  // The same with thresholds, some of which no sum reaches: bits alone, for which no sums need to be made.
  void ExpectPlainBits(const ConvShape& shape, int batch, int height, int width, int threads, Edge edge,
                       std::uint32_t seed) {
    SCOPED_TRACE(shape.Text() + ", image " + std::to_string(height) + "x" + std::to_string(width) + ", seed " +
                 std::to_string(seed));
    Random random(seed);
    const int taps = shape.kernel_h * shape.kernel_w;
    const std::vector<int> weights = random.Signs(taps * shape.channels_out);
    const std::vector<Word> packed = PackSigns(weights, shape.channels_out);
    const std::vector<int> x = random.Signs(batch * height * width * shape.channels_in);
    std::vector<std::int32_t> thresholds = random.Ints(shape.channels_out, -taps - 2, taps + 2);
    for (std::int32_t& threshold : thresholds) {
      if (random.OneIn(4)) threshold = random.Int(-1, 2);
      if (random.OneIn(10)) threshold = std::numeric_limits<std::int32_t>::min();
      if (random.OneIn(10)) threshold = std::numeric_limits<std::int32_t>::max();
    }
    ConvLayer layer = {};
    layer.input = ConvInput::kBits;
    layer.kernel = {1, shape.channels_out, taps, WordsFor(shape.channels_out), shape.channels_in};
    layer.pad_value = shape.pad_value;
    layer.weights = packed.data();
    layer.epilogue.bits = true;
    layer.epilogue.thresholds = thresholds.data();
    pool_.Grow(threads);
    DepthwiseConv2D conv(kernels(), layer);
    conv.Resize(batch, shape.Vertical(height), shape.Horizontal(width), threads, {});

    std::vector<int> signs = PlainSums(shape, x, weights, batch, height, width);
    for (std::size_t i = 0; i < signs.size(); ++i) signs[i] = signs[i] < thresholds[i % thresholds.size()] ? -1 : 1;
    const std::vector<Word> expected = PackSigns(signs, shape.channels_out);
    const GuardedArray<Word> image(PackSigns(x, shape.channels_in), edge);
    GuardedArray<Word> bits(expected.size(), edge);
    for (Word& word : bits) word = 0xa5a5a5a5u;
    void* const outputs[] = {bits.data()};
    conv.Run(image.data(), {nullptr, outputs}, pool_);
    EXPECT_EQ(std::vector<Word>(bits.begin(), bits.end()), expected);
  }

  static std::vector<int> PlainSums(const ConvShape& shape, const std::vector<int>& x, const std::vector<int>& weights,
                                    int batch, int height, int width) {
    const Window vertical = shape.Vertical(height);
    const Window horizontal = shape.Horizontal(width);
    std::vector<int> sums;
    for (int n = 0; n < batch; ++n) {
      for (int row = 0; row < vertical.output; ++row) {
        for (int column = 0; column < horizontal.output; ++column) {
          for (int o = 0; o < shape.channels_out; ++o) {
            int acc = 0;
            for (int i = 0; i < shape.kernel_h; ++i) {
              for (int j = 0; j < shape.kernel_w; ++j) {
                const int a = row * shape.stride_h - vertical.pad + i * shape.dilation_h;
                const int b = column * shape.stride_w - horizontal.pad + j * shape.dilation_w;
                const bool inside = 0 <= a && a < height && 0 <= b && b < width;
                const int channel = o / (shape.channels_out / shape.channels_in);
                const int pixel = (n * height + a) * width + b;
                const int value = inside ? x[pixel * shape.channels_in + channel] : shape.pad_value;
                acc += value * weights[(i * shape.kernel_w + j) * shape.channels_out + o];
              }
            }
            sums.push_back(acc);
          }
        }
      }
    }
    return sums;
  }

  ThreadPool pool_;
};

ConvShape Shape(int channels_in, int channels_out, int kernel_h, int kernel_w, Padding padding) {
  ConvShape shape;
  shape.channels_in = channels_in;
  shape.channels_out = channels_out;
  shape.kernel_h = kernel_h;
  shape.kernel_w = kernel_w;
  shape.padding = padding;
  return shape;
}

TEST_P(DepthwiseConv2DTest, ChannelsAroundWords) {
  std::uint32_t seed = 0;
  for (const int channels : {1, 31, 32, 33, 65}) {
    for (const int times : {1, 2, 3, 4, 40}) {
      for (const Edge edge : kEdges) {
        ExpectPlainSums(Shape(channels, channels * times, 3, 3, Padding::kSame), 1, 3, 9, 1, edge, ++seed);
      }
    }
  }
}

TEST_P(DepthwiseConv2DTest, EveryPadValue) {
  for (const int pad_value : {0, 1, -1}) {
    ConvShape shape = Shape(40, 120, 3, 5, Padding::kSame);
    shape.pad_value = pad_value;
    ExpectPlainSums(shape, 2, 4, 3, 1, Edge::kAfter, 100);
    shape.padding = Padding::kExplicit;
    shape.pad_top = 4;  // whole rows of windows lie outside
    shape.pad_left = 6;
    shape.pad_right = 12;
    ExpectPlainSums(shape, 2, 4, 3, 1, Edge::kAfter, 101);
  }
}

TEST_P(DepthwiseConv2DTest, RandomShapes) {
  Random random(29);
  for (std::uint32_t i = 0; i < 80; ++i) {
    ConvShape shape;
    shape.channels_in = random.Int(1, random.OneIn(2) ? 70 : 6);
    shape.channels_out = shape.channels_in * (random.OneIn(2) ? 1 : random.Int(1, 5));
    shape.kernel_h = random.Int(1, 4);
    shape.kernel_w = random.Int(1, 6);
    shape.stride_h = random.Int(1, 3);
    shape.stride_w = random.Int(1, 5);
    shape.dilation_h = random.Int(1, 2);
    shape.dilation_w = random.Int(1, 4);
    shape.padding = static_cast<Padding>(random.Int(0, 2));
    if (shape.padding == Padding::kExplicit) {
      shape.pad_top = random.Int(0, 3);
      shape.pad_bottom = random.Int(0, 3);
      shape.pad_left = random.Int(0, 9);
      shape.pad_right = random.Int(0, 9);
    }
    shape.pad_value = random.Int(-1, 1);
    const int height = random.Int(7, 10);  // the largest dilated window has 7 rows
    const int width = random.Int(21, 30);  // and 21 columns
    const int batch = random.Int(1, 2);
    const int threads = random.Int(1, 3);
    ExpectPlainSums(shape, batch, height, width, threads, kEdges[random.Int(0, 1)], 1000 + i);
    ExpectPlainBits(shape, batch, height, width, threads, kEdges[random.Int(0, 1)], 2000 + i);
  }
}

// Whole columns of taps lie beside the image, for some outputs or for all.
TEST_P(DepthwiseConv2DTest, WindowsLargerThanTheImage) {
  Random random(31);
  for (std::uint32_t i = 0; i < 120; ++i) {
    ConvShape shape;
    shape.channels_in = random.Int(1, 40);
    shape.channels_out = shape.channels_in * random.Int(1, 3);
    shape.kernel_h = random.Int(1, 3);
    shape.kernel_w = random.Int(1, 5);
    shape.stride_h = random.Int(1, 4);
    shape.stride_w = random.Int(1, 7);
    shape.dilation_h = random.Int(1, 4);
    shape.dilation_w = random.Int(1, 30);
    shape.padding = random.OneIn(3) ? Padding::kSame : Padding::kExplicit;
    if (shape.padding == Padding::kExplicit) {
      const int width = (shape.kernel_w - 1) * shape.dilation_w + 1;
      shape.pad_top = random.Int(0, 9);
      shape.pad_bottom = 8 + random.Int(0, 3);
      shape.pad_left = random.Int(0, width + 9);
      shape.pad_right = std::max(0, width - shape.pad_left) + random.Int(0, 20);
    }
    shape.pad_value = random.Int(-1, 1);
    const int height = random.Int(1, 5), width = random.Int(1, 12), batch = random.Int(1, 2);
    ExpectPlainSums(shape, batch, height, width, 1, kEdges[i % 2], 3000 + i);
    ExpectPlainBits(shape, batch, height, width, 1, kEdges[i % 2], 4000 + i);
  }
}

// Up to 15 taps are counted in bits and compared as they are, and more are not.
TEST_P(DepthwiseConv2DTest, BitsOfFewAndManyTaps) {
  std::uint32_t seed = 400;
  for (const auto& [height, width] : {std::pair(1, 1), {1, 2}, {3, 3}, {2, 7}, {3, 5}, {4, 4}, {5, 5}}) {
    for (const int pad_value : {0, 1, -1}) {
      ConvShape shape = Shape(40, 80, height, width, Padding::kSame);
      shape.pad_value = pad_value;
      for (const Edge edge : kEdges) ExpectPlainBits(shape, 2, 6, 11, 1, edge, ++seed);
    }
  }
}

TEST_P(DepthwiseConv2DTest, Threads) {
  for (const int threads : {2, 3, 4}) {
    ExpectPlainSums(Shape(129, 258, 3, 3, Padding::kSame), 2, 31, 37, threads, Edge::kAfter, 200);
    ExpectPlainSums(Shape(2049, 2049, 7, 7, Padding::kValid), 1, 8, 9, threads, Edge::kAfter, 201);  // few rows
  }
}

TEST_P(DepthwiseConv2DTest, ResizesBetweenRuns) {
  const struct {
    int batch, height, width;
  } kSizes[] = {{1, 6, 5}, {3, 9, 14}, {1, 3, 3}, {0, 4, 4}, {2, 12, 7}, {1, 6, 5}};
  for (const int pad_value : {0, -1}) {
    ConvShape shape = Shape(20, 60, 3, 3, Padding::kSame);
    shape.pad_value = pad_value;
    Random random(30);
    const std::vector<int> weights = random.Signs(9 * 60);
    const std::vector<Word> packed = PackSigns(weights, 60);
    const SumsLayer sums({1, 60, 9, 2, 20}, packed, pad_value);
    DepthwiseConv2D conv(kernels(), sums.layer());
    for (const auto& [batch, height, width] : kSizes) {
      const std::vector<int> x = random.Signs(batch * height * width * 20);
      conv.Resize(batch, shape.Vertical(height), shape.Horizontal(width), 1, {});
      ExpectSums(&conv, PackSigns(x, 20), PlainSums(shape, x, weights, batch, height, width), 60, &pool_, Edge::kAfter);
    }
  }
}

TEST_P(DepthwiseConv2DTest, RunAllocatesNothing) {
  const ConvShape shape = Shape(40, 80, 3, 3, Padding::kSame);
  const std::vector<Word> weights(9 * 3, 0x1234567u);
  const SumsLayer sums({1, 80, 9, 3, 40}, weights, 0);
  pool_.Grow(2);
  DepthwiseConv2D conv(kernels(), sums.layer());
  conv.Resize(1, shape.Vertical(40), shape.Horizontal(40), 2, {});
  const std::vector<Word> x(40 * 40 * 2);
  std::vector<float> y(40 * 40 * 80);
  std::vector<Word> bits(40 * 40 * 3);
  void* const outputs[] = {y.data(), bits.data()};
  const std::size_t before = AllocationCount();
  for (int run = 0; run < 3; ++run) conv.Run(x.data(), {nullptr, outputs}, pool_);
  EXPECT_EQ(AllocationCount(), before);
}

FOR_EACH_KERNEL_SET(DepthwiseConv2DTest);

}  // namespace
}  // namespace keras_bnn
