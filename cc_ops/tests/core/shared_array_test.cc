#include "core/shared_array.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace keras_bnn {
namespace {

TEST(SharedArrayTest, EqualValuesAreShared) {
  const std::size_t before = SharedArrayBytes();
  const SharedArray<Word> first(std::vector<Word>{1, 2, 3});
  const SharedArray<Word> second(std::vector<Word>{1, 2, 3});
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(std::vector<Word>(second.data(), second.data() + second.size()), (std::vector<Word>{1, 2, 3}));
  EXPECT_EQ(first.bytes(), 12);
  EXPECT_EQ(SharedArrayBytes() - before, 12);
}

TEST(SharedArrayTest, OtherValuesAreNot) {
  const std::size_t before = SharedArrayBytes();
  const SharedArray<Word> array(std::vector<Word>{1, 2, 3});
  for (const std::vector<Word>& values :
       std::vector<std::vector<Word>>{{1, 2, 4}, {3, 2, 1}, {1, 2}, {1, 2, 3, 0}, {0}, {0, 0}}) {
    const SharedArray<Word> other(values);
    EXPECT_NE(other.data(), array.data());
    EXPECT_EQ(std::vector<Word>(other.data(), other.data() + other.size()), values);
    EXPECT_EQ(SharedArrayBytes() - before, 12 + 4 * values.size());
  }
}

TEST(SharedArrayTest, TheLastUserFreesTheValues) {
  const std::size_t before = SharedArrayBytes();
  std::optional<SharedArray<std::int32_t>> first(std::vector<std::int32_t>{-7, 8});
  std::optional<SharedArray<std::int32_t>> second(first);
  std::optional<SharedArray<std::int32_t>> third(std::vector<std::int32_t>{-7, 8});
  first.reset();
  second.reset();
  EXPECT_EQ(SharedArrayBytes() - before, 8);
  EXPECT_EQ(third->data()[0], -7);
  third.reset();
  EXPECT_EQ(SharedArrayBytes(), before);
}

TEST(SharedArrayTest, WithoutValues) {
  const SharedArray<Word> none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.bytes(), 0);
}

TEST(SharedArrayTest, SeveralThreadsAtOnce) {
  const std::size_t before = SharedArrayBytes();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (Word round = 0; round < 500; ++round) {
        const SharedArray<Word> array(std::vector<Word>{round % 5, 1});
        if (array.size() != 2 || array.data()[0] != round % 5) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(SharedArrayBytes(), before);
}

}  // namespace
}  // namespace keras_bnn
