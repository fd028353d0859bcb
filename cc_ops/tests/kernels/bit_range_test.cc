#include "kernels/bit_range.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/guarded_array.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

bool Bit(const Word* words, int i) { return ((words[i / kWordBits] >> (i % kWordBits)) & 1u) != 0; }

TEST(BitRangeTest, LowBits) {
  EXPECT_EQ(LowBits(0), 0u);
  EXPECT_EQ(LowBits(1), 1u);
  EXPECT_EQ(LowBits(31), 0x7fffffffu);
  EXPECT_EQ(LowBits(32), 0xffffffffu);
  EXPECT_EQ(LowBits(100), 0xffffffffu);
}

TEST(BitRangeTest, ExtractsEveryRange) {
  Random random(1);
  GuardedArray<Word> from(4, Edge::kAfter);  // a range that ends with the last word must not read another one
  for (Word& word : from) word = random.Bits();
  for (int first = 0; first < 128; ++first) {
    for (int count = 1; first + count <= 128; ++count) {
      SCOPED_TRACE("first " + std::to_string(first) + ", count " + std::to_string(count));
      GuardedArray<Word> to(WordsFor(count), Edge::kAfter);
      ExtractBits(from.data(), first, count, to.data());
      for (int i = 0; i < WordsFor(count) * kWordBits; ++i) {
        ASSERT_EQ(Bit(to.data(), i), i < count && Bit(from.data(), first + i)) << "bit " << i;
      }
    }
  }
}

TEST(BitRangeTest, InsertsEveryRange) {
  Random random(2);
  for (int first = 0; first < 96; ++first) {
    for (int count = 1; count <= kWordBits && first + count <= 96; ++count) {
      SCOPED_TRACE("first " + std::to_string(first) + ", count " + std::to_string(count));
      GuardedArray<Word> to(3, Edge::kAfter);
      const std::vector<Word> before = {random.Bits(), random.Bits(), random.Bits()};
      for (int i = 0; i < 96; ++i) {
        if ((i < first || i >= first + count) && Bit(before.data(), i)) to[i / 32] |= 1u << i % 32;
      }
      const Word bits = random.Bits() & LowBits(count);
      InsertBits(bits, first, count, to.data());
      for (int i = 0; i < 96; ++i) {
        const bool inside = i >= first && i < first + count;
        ASSERT_EQ(Bit(to.data(), i), inside ? Bit(&bits, i - first) : Bit(before.data(), i)) << "bit " << i;
      }
    }
  }
}

TEST(BitRangeTest, RepeatsBits) {
  Random random(3);
  for (const int count : {1, 7, 16, 31, 32, 33, 64, 70}) {
    std::vector<int> bits;
    GuardedArray<Word> from(WordsFor(count), Edge::kAfter);
    for (Word& word : from) word = 0;
    for (int i = 0; i < count; ++i) {
      bits.push_back(random.Int(0, 1));
      from[i / kWordBits] |= static_cast<Word>(bits.back()) << (i % kWordBits);
    }
    for (const int times : {1, 2, 3, 4, 5, 8, 32, 33, 100}) {
      SCOPED_TRACE("count " + std::to_string(count) + ", times " + std::to_string(times));
      GuardedArray<Word> to(WordsFor(count * times), Edge::kAfter);
      for (Word& word : to) word = 0xa5a5a5a5u;
      RepeatBits(from.data(), count, times, to.data());
      for (int i = 0; i < WordsFor(count * times) * kWordBits; ++i) {
        ASSERT_EQ(Bit(to.data(), i), i < count * times && bits[i / times] != 0) << "bit " << i;
      }
    }
  }
}

}  // namespace
}  // namespace keras_bnn
