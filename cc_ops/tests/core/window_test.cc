#include "core/window.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "support/expect_refusal.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kMax = std::numeric_limits<int>::max();

struct Placed {
  int pad, output;
};

// The placement by trying: windows are laid down one after the other until one no longer fits.
Placed PlaceByTrying(int input, int size, int stride, int dilation, Padding padding, int before, int after) {
  if (padding == Padding::kExplicit || padding == Padding::kValid) {
    if (padding == Padding::kValid) before = after = 0;
    int output = 0;
    while (output * stride + (size - 1) * dilation < before + input + after) ++output;
    return {before, output};
  }
  int output = 0;
  while (output * stride < input) ++output;
  int missing = 0;
  while ((output - 1) * stride + (size - 1) * dilation >= input + missing) ++missing;
  return {missing / 2, output};
}

void ExpectPlacedAsByTrying(int input, int size, int stride, int dilation, Padding padding, int before, int after) {
  SCOPED_TRACE("input " + std::to_string(input) + ", size " + std::to_string(size) + ", stride " +
               std::to_string(stride) + ", dilation " + std::to_string(dilation) + ", padding " +
               std::to_string(static_cast<int>(padding)) + " " + std::to_string(before) + " " + std::to_string(after));
  const Placed expected = PlaceByTrying(input, size, stride, dilation, padding, before, after);
  if (expected.output == 0) {
    EXPECT_REFUSAL(Window::Place("height", input, size, stride, dilation, padding, before, after), "larger image");
    return;
  }
  const Window window = Window::Place("height", input, size, stride, dilation, padding, before, after);
  EXPECT_EQ(window.pad, expected.pad);
  EXPECT_EQ(window.output, expected.output);
  EXPECT_EQ(window.input, input);
  EXPECT_EQ(window.size, size);
  EXPECT_EQ(window.stride, stride);
  EXPECT_EQ(window.dilation, dilation);
}

TEST(WindowTest, SameAndValidAsByTrying) {
  for (int input = 1; input <= 9; ++input) {
    for (int size = 1; size <= 5; ++size) {
      for (int stride = 1; stride <= 7; ++stride) {  // also larger than the window and than the image
        for (int dilation = 1; dilation <= 3; ++dilation) {
          ExpectPlacedAsByTrying(input, size, stride, dilation, Padding::kSame, 0, 0);
          ExpectPlacedAsByTrying(input, size, stride, dilation, Padding::kValid, 0, 0);
        }
      }
    }
  }
}

TEST(WindowTest, ExplicitAsByTrying) {
  Random random(11);
  for (int i = 0; i < 2000; ++i) {
    const int input = random.Int(1, 20);
    const int size = random.Int(1, 7);
    const int stride = random.Int(1, 9);
    const int dilation = random.Int(1, 4);
    const int before = random.Int(0, 6);  // also whole windows outside the image
    const int after = random.Int(0, 6);
    ExpectPlacedAsByTrying(input, size, stride, dilation, Padding::kExplicit, before, after);
  }
}

TEST(WindowTest, PadsAreIgnoredUnlessExplicit) {
  EXPECT_EQ(Window::Place("height", 8, 3, 1, 1, Padding::kValid, 5, 5).output, 6);
  EXPECT_EQ(Window::Place("height", 8, 3, 1, 1, Padding::kSame, 5, 5).pad, 1);
}

TEST(WindowTest, ContainsAndCovers) {
  const Window window = Window::Place("width", 10, 3, 1, 2, Padding::kSame, 0, 0);
  for (int first = -6; first < 16; ++first) {
    bool all_inside = true;
    for (int tap = 0; tap < 3; ++tap) {
      const int position = first + tap * 2;
      all_inside = all_inside && 0 <= position && position <= 9;
    }
    EXPECT_EQ(window.Covers(first), all_inside) << first;
    EXPECT_EQ(window.Contains(first), 0 <= first && first <= 9) << first;
  }
}

TEST(WindowTest, RefusalNamesSizesAndAxis) {
  EXPECT_REFUSAL(Window::Place("width", 4, 3, 1, 2, Padding::kValid, 0, 0),
                 "the window of 5 pixels (3 taps, dilation 2) is larger than the padded width of 4 pixels; expected a "
                 "larger image");
  EXPECT_REFUSAL(Window::Place("height", 4, 9, 1, 1, Padding::kExplicit, 1, 2), "the padded height of 7 pixels");
}

TEST(WindowTest, RefusesAnImageOfNoPixels) {
  for (const Padding padding : {Padding::kSame, Padding::kValid, Padding::kExplicit}) {
    EXPECT_REFUSAL(Window::Place("height", 0, 1, 1, 1, padding, 3, 3), "the height is 0 pixels; expected at least 1");
  }
}

TEST(WindowTest, LargestSizesThatFit) {
  const Window window = Window::Place("width", 1 << 30, 1, 1, 1, Padding::kSame, 0, 0);
  EXPECT_EQ(window.output, 1 << 30);
  EXPECT_EQ(Window::Place("width", kMax / 2, 3, 1, 1, Padding::kSame, 0, 0).output, kMax / 2);
}

// Every position that a kernel computes from an accepted window must fit an int.
TEST(WindowTest, PositionsOfAcceptedWindowsFitAnInt) {
  Random random(12);
  const int sizes[] = {1, 2, 3, 1 << 15, 1 << 16, 1 << 20, 1 << 29, 1 << 30, kMax - 1, kMax};
  const auto any = [&] { return sizes[random.Int(0, 9)]; };
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const int input = any();
    const int size = any();
    const int stride = any();
    const int dilation = any();
    const auto padding = static_cast<Padding>(random.Int(0, 2));
    try {
      const Window window = Window::Place("width", input, size, stride, dilation, padding, any(), any());
      ++accepted;
      const std::int64_t last_first = (std::int64_t{window.output} - 1) * stride - window.pad;
      const std::int64_t last_end = last_first + std::int64_t{size} * dilation;
      ASSERT_LE(std::int64_t{window.output} * stride, kMax);
      ASSERT_LE((std::int64_t{size} - 1) * dilation, kMax);
      ASSERT_LE(last_first, kMax);
      ASSERT_LE(last_end - dilation, kMax);
      ASSERT_GE(window.pad, 0);
      ASSERT_GE(window.output, 1);
    } catch (const Refusal&) {
      continue;
    }
  }
  EXPECT_GT(accepted, 100);
}

TEST(WindowTest, RefusesWhatReachesTooFar) {
  EXPECT_REFUSAL(Window::Place("width", kMax, 3, 1, 1, Padding::kSame, 0, 0), "reaches over 2^31 pixels");
  EXPECT_REFUSAL(Window::Place("width", 10, kMax, 1, kMax, Padding::kSame, 0, 0), "reaches over 2^31 pixels");
  EXPECT_REFUSAL(Window::Place("width", 10, 3, kMax, 1, Padding::kSame, 0, 0), "reaches over 2^31 pixels");
  EXPECT_REFUSAL(Window::Place("width", 10, 3, 1, 1, Padding::kExplicit, kMax, kMax), "reaches over 2^31 pixels");
}

}  // namespace
}  // namespace keras_bnn
