#include "core/element_count.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/expect_refusal.h"

namespace keras_bnn {
namespace {

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

TEST(ElementCountTest, MultipliesTheFactors) {
  EXPECT_EQ(ElementCount("x", 4, {}), 1u);
  EXPECT_EQ(ElementCount("x", 4, {7}), 7u);
  EXPECT_EQ(ElementCount("x", 4, {3, 5, 1, 7}), 105u);
  EXPECT_EQ(ElementCount("x", 4, {3, 0, 7}), 0u);
}

TEST(ElementCountTest, TakesTheMostElementsAndNoMore) {
  EXPECT_EQ(ElementCount("x", 1, {kMostElements}), static_cast<std::size_t>(kMostElements));
  EXPECT_EQ(ElementCount("x", 1, {1, 524287, 4096}), 524287u * 4096);
  EXPECT_REFUSAL(ElementCount("x", 1, {kMostElements + 1}),
                 "x would have 2147483648 values; expected at most 2147483647");
  EXPECT_REFUSAL(ElementCount("the frame", 1, {2, 32768, 32768}),
                 "the frame would have 2 * 32768 * 32768 values; expected at most 2147483647, so take a smaller batch, "
                 "image or kernel");
}

TEST(ElementCountTest, TakesNoMoreBytesThanAddressesReach) {
  const std::int64_t most = std::min<std::int64_t>(kMostElements, std::numeric_limits<std::ptrdiff_t>::max() / 8);
  EXPECT_EQ(ElementCount("x", 8, {most}), static_cast<std::size_t>(most));
  EXPECT_REFUSAL(ElementCount("x", 8, {most + 1}), "expected at most " + std::to_string(most));
}

// Products of 2^64 and of any multiple of it would be small numbers again.
TEST(ElementCountTest, NoProductWrapsAround) {
  EXPECT_REFUSAL(ElementCount("x", 4, {kHuge, kHuge, kHuge, 4}), "x would have");
  const std::int64_t root = std::int64_t{1} << 16;
  EXPECT_REFUSAL(ElementCount("x", 4, {root, root, root, root}), "x would have");
  EXPECT_REFUSAL(ElementCount("x", 4, {root, root, root, root, 1}), "x would have");
}

TEST(ElementCountTest, AnEmptyBatchHidesNoLargeImage) {
  EXPECT_REFUSAL(ElementCount("x", 4, {0, 65536, 65536}), "x would have 0 * 65536 * 65536 values");
  EXPECT_TRUE(ProductFits(std::vector<int>{0, 65536, 32767}, kMostElements));
  EXPECT_FALSE(ProductFits(std::vector<int>{0, 65536, 32768}, kMostElements));
}

}  // namespace
}  // namespace keras_bnn
