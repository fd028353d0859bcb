// TransposeConv2D of every kernel set against a scatter of +1 and -1.
#include "kernels/transpose_conv2d.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/allocation_counter.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/sums.h"

namespace keras_bnn {
namespace {

struct TransposeShape {
  int channels_in, channels_out;
  int kernel_h, kernel_w, stride_h, stride_w;
  int pad_top, pad_bottom, pad_left, pad_right;

  TransposedWindow Vertical(int height) const {
    return TransposedWindow::Place("height", height, kernel_h, stride_h, pad_top, pad_bottom);
  }
  TransposedWindow Horizontal(int width) const {
    return TransposedWindow::Place("width", width, kernel_w, stride_w, pad_left, pad_right);
  }
  KernelShape Kernel() const { return {1, channels_out, kernel_h * kernel_w, WordsFor(channels_in), channels_in}; }
};

// The sums by the format's definition: every input pixel adds its products to the output pixels that it meets.
std::vector<int> PlainSums(const TransposeShape& s, const std::vector<int>& x, const std::vector<int>& weights,
                           int batch, int height, int width) {
  const int rows = (height - 1) * s.stride_h + s.kernel_h - s.pad_top - s.pad_bottom;
  const int columns = (width - 1) * s.stride_w + s.kernel_w - s.pad_left - s.pad_right;
  std::vector<int> sums(batch * rows * columns * s.channels_out, 0);
  for (int pixel = 0; pixel < batch * height * width; ++pixel) {
    for (int o = 0; o < s.channels_out; ++o) {
      for (int tap = 0; tap < s.kernel_h * s.kernel_w; ++tap) {
        const int row = pixel / width % height * s.stride_h + tap / s.kernel_w - s.pad_top;
        const int column = pixel % width * s.stride_w + tap % s.kernel_w - s.pad_left;
        if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
        const int out = (pixel / width / height * rows + row) * columns + column;
        for (int c = 0; c < s.channels_in; ++c) {
          sums[out * s.channels_out + o] +=
              x[pixel * s.channels_in + c] * weights[(o * s.kernel_h * s.kernel_w + tap) * s.channels_in + c];
        }
      }
    }
  }
  return sums;
}

class TransposeConv2DTest : public KernelSetTest {
 protected:
  void ExpectPlainSums(const TransposeShape& s, int batch, int height, int width, int threads, Edge edge,
                       std::uint32_t seed) {
    SCOPED_TRACE("channels " + std::to_string(s.channels_in) + " to " + std::to_string(s.channels_out) + ", kernel " +
                 std::to_string(s.kernel_h) + "x" + std::to_string(s.kernel_w) + ", stride " +
                 std::to_string(s.stride_h) + "x" + std::to_string(s.stride_w) + ", pads " + std::to_string(s.pad_top) +
                 " " + std::to_string(s.pad_bottom) + " " + std::to_string(s.pad_left) + " " +
                 std::to_string(s.pad_right) + ", image " + std::to_string(height) + "x" + std::to_string(width) +
                 ", seed " + std::to_string(seed));
    Random random(seed);
    const std::vector<int> weights = random.Signs(s.channels_out * s.kernel_h * s.kernel_w * s.channels_in);
    const std::vector<Word> packed = PackSigns(weights, s.channels_in);
    const std::vector<int> x = random.Signs(batch * height * width * s.channels_in);
    const SumsLayer sums(s.Kernel(), packed, 0);
    pool_.Grow(threads);

    TransposeConv2D conv(kernels(), sums.layer(), s.Vertical(height), s.Horizontal(width));
    conv.Resize(batch, s.Vertical(height), s.Horizontal(width), threads, {});
    ExpectSums(&conv, PackSigns(x, s.channels_in), PlainSums(s, x, weights, batch, height, width), s.channels_out,
               &pool_, edge);
  }

  ThreadPool pool_;
};

TEST_P(TransposeConv2DTest, ChannelsAroundWords) {
  std::uint32_t seed = 0;
  for (const int channels : {1, 31, 32, 33, 65}) {
    for (const Edge edge : kEdges) {
      ExpectPlainSums({channels, 35, 3, 3, 2, 2, 0, 1, 1, 0}, 1, 2, 5, 1, edge, ++seed);
      ExpectPlainSums({35, channels, 2, 3, 1, 2, 0, 0, 0, -1}, 2, 2, 3, 1, edge, ++seed);
    }
  }
}

TEST_P(TransposeConv2DTest, RandomShapes) {
  Random random(31);
  for (std::uint32_t i = 0; i < 80; ++i) {
    TransposeShape s = {};
    s.channels_in = random.Int(1, random.OneIn(2) ? 70 : 6);
    s.channels_out = random.Int(1, random.OneIn(2) ? 70 : 6);
    s.kernel_h = random.Int(1, 5);
    s.kernel_w = random.Int(1, 5);
    s.stride_h = random.Int(1, 4);
    s.stride_w = random.Int(1, 7);  // also larger than the kernel, which leaves sums of nothing
    s.pad_top = random.Int(0, 2);
    s.pad_bottom = random.Int(1 - s.stride_h, 2);
    s.pad_left = random.Int(0, 2);
    s.pad_right = random.Int(1 - s.stride_w, 2);
    ExpectPlainSums(s, random.Int(1, 2), random.Int(5, 6), random.Int(5, 12), random.Int(1, 3),
                    kEdges[random.Int(0, 1)], 1000 + i);
  }
}

// Pads that cut off more than a kernel on one side.
TEST_P(TransposeConv2DTest, DeepPads) {
  ExpectPlainSums({40, 33, 3, 3, 2, 2, 6, 0, 0, 7}, 2, 5, 6, 1, Edge::kAfter, 300);
  ExpectPlainSums({40, 33, 3, 3, 2, 2, 0, 6, 7, 0}, 2, 5, 6, 1, Edge::kBefore, 301);
}

// Rows of the output that are several panels long.
TEST_P(TransposeConv2DTest, LongRows) {
  ExpectPlainSums({33, 5, 3, 3, 2, 3, 1, 1, 1, 1}, 1, 2, 70, 1, Edge::kAfter, 302);
}

TEST_P(TransposeConv2DTest, Threads) {
  for (const int threads : {2, 3, 4}) {
    ExpectPlainSums({129, 70, 3, 3, 2, 2, 1, 0, 1, 0}, 2, 7, 13, threads, Edge::kAfter, 303);
    ExpectPlainSums({1025, 300, 1, 2, 1, 1, 0, 0, 0, 0}, 1, 1, 3, threads, Edge::kAfter, 304);  // a single row
  }
}

TEST_P(TransposeConv2DTest, ResizesBetweenRuns) {
  const struct {
    int batch, height, width;
  } kSizes[] = {{1, 3, 5}, {3, 2, 40}, {0, 4, 4}, {1, 1, 1}, {2, 6, 2}, {1, 3, 5}};
  const TransposeShape s = {40, 35, 3, 4, 2, 3, 1, 0, 1, -1};
  Random random(32);
  const std::vector<int> weights = random.Signs(35 * 12 * 40);
  const std::vector<Word> packed = PackSigns(weights, 40);
  const SumsLayer sums(s.Kernel(), packed, 0);
  TransposeConv2D conv(kernels(), sums.layer(), s.Vertical(3), s.Horizontal(5));
  for (const auto& [batch, height, width] : kSizes) {
    const std::vector<int> x = random.Signs(batch * height * width * 40);
    conv.Resize(batch, s.Vertical(height), s.Horizontal(width), 1, {});
    ExpectSums(&conv, PackSigns(x, 40), PlainSums(s, x, weights, batch, height, width), 35, &pool_, Edge::kAfter);
  }
}

TEST_P(TransposeConv2DTest, RunAllocatesNothing) {
  const TransposeShape s = {40, 33, 3, 3, 2, 2, 1, 0, 1, 0};
  const std::vector<Word> weights(33 * 9 * 2, 0x1234567u);
  const SumsLayer sums(s.Kernel(), weights, 0);
  pool_.Grow(2);
  TransposeConv2D conv(kernels(), sums.layer(), s.Vertical(40), s.Horizontal(40));
  conv.Resize(1, s.Vertical(40), s.Horizontal(40), 2, {});
  const std::vector<Word> x(40 * 40 * 2);
  std::vector<float> y(80 * 80 * 33);
  std::vector<Word> bits(80 * 80 * 2);
  void* const outputs[] = {y.data(), bits.data()};
  const std::size_t before = AllocationCount();
  for (int run = 0; run < 3; ++run) conv.Run(x.data(), {nullptr, outputs}, pool_);
  EXPECT_EQ(AllocationCount(), before);
}

FOR_EACH_KERNEL_SET(TransposeConv2DTest);

}  // namespace
}  // namespace keras_bnn
