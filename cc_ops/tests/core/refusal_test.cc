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

TEST(RefusalTest, KeepsTextAndNothingElse) {
  const auto word = [](const char* bytes) {
    const std::string sentence = SentenceOf(bytes, 1);
    return sentence.substr(7, sentence.size() - 14);
  };
  EXPECT_EQ(word("\xc3\xa9 \xe5\xb1\xa4 \xf0\x9f\x98\x80"), "\xc3\xa9 \xe5\xb1\xa4 \xf0\x9f\x98\x80");
  EXPECT_EQ(word("a\xff"
                 "b\x80"
                 "c"),
            "a?b?c");
  EXPECT_EQ(word("\xe5\xb1"), "??");                   // cut
  EXPECT_EQ(word("\xc0\xaf \xe0\x9f\xbf"), "?? ???");  // longer than need be
  EXPECT_EQ(word("\xed\xa0\x80"), "???");              // half of a pair of UTF-16
  EXPECT_EQ(word("\xf4\x90\x80\x80"), "????");         // beyond the last
  EXPECT_EQ(word("\x1b[31m\n\x7f"), "?[31m??");
}

TEST(RefusalTest, CutsBetweenCharacters) {
  for (const char* start : {"", "a", "ab"}) {
    std::string name = start;
    for (int i = 0; i < 300; ++i) name += "\xe5\xb1\xa4";
    const std::string sentence = SentenceOf(name, 1);
    const std::size_t marks = sentence.size() - sentence.find_last_not_of('?') - 1;
    EXPECT_LE(marks, std::size_t{2});
    EXPECT_EQ((sentence.size() - marks - std::string("found \"").size() - std::string(start).size()) % 3, 0u);
  }
}

}  // namespace
}  // namespace keras_bnn
