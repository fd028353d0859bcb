// MaxPool2D against the largest, and for some channels the smallest, of +1 and -1 in each window.
#include "kernels/max_pool2d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "support/guarded_array.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/time_limit.h"

namespace keras_bnn {
namespace {

struct PoolShape {
  int batch, height, width, channels;
  int window_h, window_w, stride_h, stride_w;
  Padding padding;
};

void ExpectPlainPooling(const PoolShape& s, int threads, Edge edge, std::uint32_t seed) {
  SCOPED_TRACE("batch " + std::to_string(s.batch) + ", image " + std::to_string(s.height) + "x" +
               std::to_string(s.width) + ", channels " + std::to_string(s.channels) + ", window " +
               std::to_string(s.window_h) + "x" + std::to_string(s.window_w) + ", strides " +
               std::to_string(s.stride_h) + "x" + std::to_string(s.stride_w) + ", padding " +
               std::to_string(static_cast<int>(s.padding)) + ", seed " + std::to_string(seed));
  Random random(seed);
  const Window vertical = Window::Place("height", s.height, s.window_h, s.stride_h, 1, s.padding, 0, 0);
  const Window horizontal = Window::Place("width", s.width, s.window_w, s.stride_w, 1, s.padding, 0, 0);
  std::vector<int> turned(s.channels, 1);  // -1 where the minimum is taken, in every second shape
  if (seed % 2 == 0) {
    for (int& sign : turned) sign = random.OneIn(2) ? 1 : -1;
  }
  const std::vector<Word> minimum = PackSigns(turned, s.channels);
  std::vector<int> signs(s.batch * s.height * s.width * s.channels);
  for (int& sign : signs) sign = random.OneIn(4) ? 1 : -1;  // mostly -1, or every maximum would be +1
  const GuardedArray<Word> x(PackSigns(signs, s.channels), edge);
  const int words = WordsFor(s.channels);
  GuardedArray<Word> y(s.batch * vertical.output * horizontal.output * words, edge);
  std::fill(y.begin(), y.end(), 0xa5a5a5a5u);
  ThreadPool pool;
  pool.Grow(threads);

  MaxPool2D op;
  op.Resize(s.batch, vertical, horizontal, words, seed % 2 == 0 ? minimum.data() : nullptr, threads);
  op.Run(x.data(), y.data(), pool);

  std::vector<int> maxima;
  for (int n = 0; n < s.batch; ++n) {
    for (int row = 0; row < vertical.output; ++row) {
      for (int column = 0; column < horizontal.output; ++column) {
        for (int c = 0; c < s.channels; ++c) {
          int most = -1;
          for (int i = 0; i < s.window_h; ++i) {
            for (int j = 0; j < s.window_w; ++j) {
              const int a = row * s.stride_h - vertical.pad + i;
              const int b = column * s.stride_w - horizontal.pad + j;
              if (a < 0 || a >= s.height || b < 0 || b >= s.width) continue;
              most = std::max(most, turned[c] * signs[((n * s.height + a) * s.width + b) * s.channels + c]);
            }
          }
          maxima.push_back(turned[c] * most);
        }
      }
    }
  }
  EXPECT_EQ(std::vector<Word>(y.begin(), y.end()), PackSigns(maxima, s.channels));
}

TEST(MaxPool2DTest, CommonShapes) {
  for (const Padding padding : {Padding::kSame, Padding::kValid}) {
    for (const Edge edge : kEdges) {
      ExpectPlainPooling({2, 8, 6, 64, 2, 2, 2, 2, padding}, 1, edge, 1);
      ExpectPlainPooling({1, 7, 9, 33, 3, 3, 2, 2, padding}, 1, edge, 2);
      ExpectPlainPooling({1, 5, 6, 1, 3, 2, 1, 1, padding}, 1, edge, 3);
      ExpectPlainPooling({1, 1, 1, 40, 1, 1, 1, 1, padding}, 1, edge, 4);
      ExpectPlainPooling({3, 4, 4, 31, 4, 4, 4, 4, padding}, 1, edge, 5);
    }
  }
}

TEST(MaxPool2DTest, StridesLargerThanTheWindow) {
  for (const Padding padding : {Padding::kSame, Padding::kValid}) {
    ExpectPlainPooling({2, 11, 9, 40, 2, 1, 5, 4, padding}, 1, Edge::kAfter, 6);
    ExpectPlainPooling({1, 3, 3, 40, 2, 2, 9, 9, padding}, 1, Edge::kAfter, 7);
  }
}

TEST(MaxPool2DTest, WindowLargerThanTheImage) {
  ExpectPlainPooling({1, 2, 3, 40, 5, 7, 1, 2, Padding::kSame}, 1, Edge::kAfter, 8);
}

TEST(MaxPool2DTest, RandomShapes) {
  Random random(9);
  for (std::uint32_t i = 0; i < 60; ++i) {
    const PoolShape shape = {random.Int(1, 3),  random.Int(4, 12), random.Int(4, 12),
                             random.Int(1, 80), random.Int(1, 4),  random.Int(1, 4),
                             random.Int(1, 5),  random.Int(1, 5),  random.OneIn(2) ? Padding::kSame : Padding::kValid};
    ExpectPlainPooling(shape, 1, kEdges[i % 2], 100 + i);
  }
}

TEST(MaxPool2DTest, Threads) {
  for (const int threads : {2, 3, 4}) {
    ExpectPlainPooling({2, 40, 40, 512, 3, 3, 1, 1, Padding::kSame}, threads, Edge::kAfter, 10);
  }
}

TEST(MaxPool2DTest, AnEmptyBatchGivesNothing) {
  const Window vertical = Window::Place("height", 4, 2, 2, 1, Padding::kValid, 0, 0);
  const Window horizontal = Window::Place("width", 1 << 29, 2, 2, 1, Padding::kValid, 0, 0);
  ThreadPool pool;
  MaxPool2D op;
  op.Resize(0, vertical, horizontal, 3, nullptr, 4);
  op.Run(nullptr, nullptr, pool);
  EXPECT_EQ(op.Memory().scratch, 0);
}

// Each output is the and of all 2^16 pixels of an image, or of a quarter at least.
TEST(MaxPool2DTest, AWindowAsLargeAsALargeImage) {
  const TimeLimit limit;
  constexpr int kSize = 256;
  const Window window = Window::Place("side", kSize, kSize, 1, 1, Padding::kSame, 0, 0);
  std::vector<Word> x(kSize * kSize, ~Word{0}), y(x.size());
  x[0] = ~Word{1};
  ThreadPool pool;
  MaxPool2D op;
  op.Resize(1, window, window, 1, nullptr, 1);
  op.Run(x.data(), y.data(), pool);
  for (int row = 0; row < kSize; ++row) {
    for (int column = 0; column < kSize; ++column) {
      const bool reaches_first = row <= window.pad && column <= window.pad;
      ASSERT_EQ(y[row * kSize + column], reaches_first ? ~Word{1} : ~Word{0}) << row << ", " << column;
    }
  }
}

// Each of the outputs reads a pixel of each line, and not the others.
TEST(MaxPool2DTest, TallWindowsFarApart) {
  const TimeLimit limit;
  constexpr int kSize = 1 << 12;
  const Window vertical = Window::Place("height", kSize, kSize, 1, 1, Padding::kSame, 0, 0);
  const Window horizontal = Window::Place("width", kSize, 1, kSize, 1, Padding::kSame, 0, 0);
  std::vector<Word> x(kSize * kSize, ~Word{0}), y(kSize);
  x[0] = ~Word{1};
  x[1] = 0;
  ThreadPool pool;
  MaxPool2D op;
  op.Resize(1, vertical, horizontal, 1, nullptr, 1);
  op.Run(x.data(), y.data(), pool);
  for (int row = 0; row < kSize; ++row) ASSERT_EQ(y[row], row <= vertical.pad ? ~Word{1} : ~Word{0}) << row;
}

}  // namespace
}  // namespace keras_bnn
