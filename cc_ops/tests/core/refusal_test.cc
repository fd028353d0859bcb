#include "core/refusal.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

namespace keras_bnn {
namespace {

std::string SentenceOf(const std::string& word, int number) {
  try {
    Refuse("found \"%s\" and %d", word.c_str(), number);
  } catch (const std::exception& refusal) {
    return refusal.what();
  }
}

TEST(RefusalTest, FormatsAsPrintf) { EXPECT_EQ(SentenceOf("stride_h", -3), "found \"stride_h\" and -3"); }

TEST(RefusalTest, SentenceIsNoFormat) { EXPECT_EQ(SentenceOf("%s%n", 1), "found \"%s%n\" and 1"); }

TEST(RefusalTest, CutsALongSentence) {
  const std::string sentence = SentenceOf(std::string(5000, 'x'), 1);
  EXPECT_GE(sentence.size(), std::size_t{200});
  EXPECT_EQ(sentence.substr(0, 10), "found \"xxx");
}

}  // namespace
}  // namespace keras_bnn
