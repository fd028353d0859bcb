#include "core/transposed_window.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "support/expect_refusal.h"

namespace keras_bnn {
namespace {

constexpr int kMax = std::numeric_limits<int>::max();

// Which (input position, tap) meet at each output position, by trying all.
void ExpectMeetingsAsByTrying(int input, int size, int stride, int before, int after) {
  SCOPED_TRACE("input " + std::to_string(input) + ", size " + std::to_string(size) + ", stride " +
               std::to_string(stride) + ", pads " + std::to_string(before) + " " + std::to_string(after));
  const int covered = (input - 1) * stride + size;
  if (covered - before - after < 1) {
    EXPECT_REFUSAL(TransposedWindow::Place("height", input, size, stride, before, after), "expected smaller ones");
    return;
  }
  const TransposedWindow window = TransposedWindow::Place("height", input, size, stride, before, after);
  ASSERT_EQ(window.output, covered - before - after);
  for (int position = 0; position < window.output; ++position) {
    std::vector<int> expected(input, -1);  // the tap that meets each input position
    for (int i = 0; i < input; ++i) {
      for (int tap = 0; tap < size; ++tap) {
        if (i * stride + tap - before == position) expected[i] = tap;
      }
    }
    std::vector<int> found(input, -1);
    const int phase = window.Phase(position);
    for (int k = 0; k < window.TapsOf(phase); ++k) {
      const int i = window.First(position) - k;
      if (window.Contains(i)) found[i] = phase + k * stride;
    }
    EXPECT_EQ(found, expected) << "position " << position;
  }
}

TEST(TransposedWindowTest, MeetingsAsByTrying) {
  for (int input = 1; input <= 5; ++input) {
    for (int size = 1; size <= 5; ++size) {
      for (int stride = 1; stride <= 6; ++stride) {  // also larger than the kernel
        for (int before = 0; before <= 3; ++before) {
          for (int after = 1 - stride; after <= 3; ++after) {
            ExpectMeetingsAsByTrying(input, size, stride, before, after);
          }
        }
      }
    }
  }
}

TEST(TransposedWindowTest, Refusals) {
  EXPECT_REFUSAL(TransposedWindow::Place("width", 0, 3, 1, 0, 0), "the width is 0 pixels; expected at least 1");
  EXPECT_REFUSAL(TransposedWindow::Place("width", 2, 3, 2, 3, 2),
                 "the paddings 3 and 2 cut off all 5 pixels that the width of 2 pixels gives; expected smaller ones");
  EXPECT_REFUSAL(TransposedWindow::Place("height", 1 << 20, 3, 1 << 11, 0, 0),
                 "the height of 1048576 pixels with 3 taps and stride 2048 gives over 2^31 pixels");
  EXPECT_REFUSAL(TransposedWindow::Place("height", 4, kMax, kMax, 0, 0), "gives over 2^31 pixels");
  EXPECT_REFUSAL(TransposedWindow::Place("height", 4, 3, 1, kMax, kMax), "cut off all 6 pixels");
  EXPECT_REFUSAL(TransposedWindow::Place("height", 1, 3, kMax, 0, 1 - kMax), "gives over 2^31 pixels");
}

}  // namespace
}  // namespace keras_bnn
