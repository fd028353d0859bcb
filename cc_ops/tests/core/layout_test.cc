#include "core/layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace keras_bnn {
namespace {

TEST(LayoutTest, WordsForHoldsEveryChannel) {
  EXPECT_EQ(WordsFor(0), 0);
  EXPECT_EQ(WordsFor(1), 1);
  EXPECT_EQ(WordsFor(31), 1);
  EXPECT_EQ(WordsFor(32), 1);
  EXPECT_EQ(WordsFor(33), 2);
  EXPECT_EQ(WordsFor(64), 2);
  EXPECT_EQ(WordsFor(65), 3);
}

TEST(LayoutTest, WordsForDoesNotOverflow) { EXPECT_EQ(WordsFor(std::numeric_limits<int>::max()), 1 << 26); }

TEST(LayoutTest, CeilDivRoundsUp) {
  EXPECT_EQ(CeilDiv(0, 5), 0);
  EXPECT_EQ(CeilDiv(1, 5), 1);
  EXPECT_EQ(CeilDiv(5, 5), 1);
  EXPECT_EQ(CeilDiv(6, 5), 2);
  EXPECT_EQ(CeilDiv<std::int64_t>(std::int64_t{1} << 40, 3), 366503875926);
  EXPECT_EQ(CeilDiv(-5, 5), -1);
  EXPECT_EQ(CeilDiv(-4, 5), 0);
}

TEST(LayoutTest, CeilDivDoesNotOverflow) {
  constexpr int kMax = std::numeric_limits<int>::max();
  EXPECT_EQ(CeilDiv(kMax, 2), 1 << 30);
  EXPECT_EQ(CeilDiv(1, kMax), 1);
  EXPECT_EQ(CeilDiv(65535, kMax), 1);
  EXPECT_EQ(CeilDiv(kMax, kMax), 1);
  EXPECT_EQ(CeilDiv(-7, 3), -2);
}

}  // namespace
}  // namespace keras_bnn
