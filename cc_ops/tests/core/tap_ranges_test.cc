#include "core/tap_ranges.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <utility>

#include "support/random.h"
#include "support/time_limit.h"

namespace keras_bnn {
namespace {

// Each output's range holds exactly the taps inside the image.
void ExpectRangesOf(const Window& window) {
  SCOPED_TRACE("input " + std::to_string(window.input) + ", size " + std::to_string(window.size) + ", stride " +
               std::to_string(window.stride) + ", dilation " + std::to_string(window.dilation) + ", pad " +
               std::to_string(window.pad) + ", output " + std::to_string(window.output));
  const TapRanges ranges(window);
  for (int output = 0; output < window.output; ++output) {
    const TapRange& range = ranges[ranges.IndexAt(output)];
    for (int tap = 0; tap < window.size; ++tap) {
      const int position = output * window.stride - window.pad + tap * window.dilation;
      ASSERT_EQ(range.Contains(tap), position >= 0 && position < window.input) << "output " << output << " tap " << tap;
    }
  }
  ASSERT_EQ(ranges[0].begin, 0);
  ASSERT_EQ(ranges[0].end, window.size);
  std::set<std::pair<int, int>> distinct;
  for (int i = 0; i < ranges.count(); ++i) distinct.insert({ranges[i].begin, ranges[i].end});
  ASSERT_EQ(distinct.size(), ranges.count());
  ASSERT_LE(ranges.count(), 2 * window.size + 1);
}

Window MakeWindow(int input, int size, int stride, int dilation, int pad, int output) {
  Window window;
  window.input = input;
  window.size = size;
  window.stride = stride;
  window.dilation = dilation;
  window.pad = pad;
  window.output = output;
  return window;
}

TEST(TapRangesTest, OneTapIsInsideEverywhere) {
  ExpectRangesOf(MakeWindow(5, 1, 1, 1, 0, 5));
  EXPECT_EQ(TapRanges(MakeWindow(5, 1, 1, 1, 0, 5)).count(), 1);
}

TEST(TapRangesTest, ThreeTapsOfAPaddedImage) {
  ExpectRangesOf(MakeWindow(56, 3, 1, 1, 1, 56));
  EXPECT_EQ(TapRanges(MakeWindow(56, 3, 1, 1, 1, 56)).count(), 3);
}

TEST(TapRangesTest, WindowsLargerThanTheImage) { ExpectRangesOf(MakeWindow(2, 7, 1, 1, 3, 2)); }

TEST(TapRangesTest, WindowsWhollyOutside) { ExpectRangesOf(MakeWindow(3, 2, 1, 2, 5, 12)); }

// A tap is outside the image however far apart taps are.
TEST(TapRangesTest, TheLargestDilations) {
  for (const int dilation : {std::numeric_limits<int>::max(), std::numeric_limits<int>::max() - 5}) {
    const TapRanges ranges(MakeWindow(2, 1, 1, dilation, 3, 8));
    for (int output = 0; output < 8; ++output) {
      const bool inside = output == 3 || output == 4;
      EXPECT_EQ(ranges[ranges.IndexAt(output)].Contains(0), inside) << output;
    }
  }
}

// 2^16 ranges and 2^22 outputs, each found without a search.
TEST(TapRangesTest, ManyTapsOfManyOutputs) {
  const TimeLimit limit;
  constexpr int kTaps = 1 << 16, kOutputs = 1 << 22;
  const TapRanges ranges(MakeWindow(kOutputs, kTaps, 1, 64, kTaps * 32, kOutputs));
  EXPECT_NEAR(ranges.count(), kTaps, 2);
  EXPECT_EQ(ranges[ranges.IndexAt(0)].end, kTaps);
  EXPECT_EQ(ranges[ranges.IndexAt(kOutputs - 1)].begin, 0);
}

TEST(TapRangesTest, RandomWindows) {
  Random random(1);
  for (int i = 0; i < 500; ++i) {
    ExpectRangesOf(MakeWindow(random.Int(1, 12), random.Int(1, 8), random.Int(1, 4), random.Int(1, 4),
                              random.Int(0, 12), random.Int(0, 15)));
  }
}

}  // namespace
}  // namespace keras_bnn
