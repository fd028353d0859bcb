// Tests of work that was out of proportion once: seconds where there should be milliseconds.
#ifndef KERAS_BNN_TESTS_SUPPORT_TIME_LIMIT_H_
#define KERAS_BNN_TESTS_SUPPORT_TIME_LIMIT_H_

#include <gtest/gtest.h>

#include <ctime>

namespace keras_bnn {

// Fails the test if the process takes more than some seconds of the processor as long as it lives, of which other
// processes take none.
class TimeLimit {
 public:
  TimeLimit() = default;
  ~TimeLimit() { EXPECT_LT(static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC, kMostSeconds); }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  static constexpr double kMostSeconds = 10.0;
  const std::clock_t begin_ = std::clock();
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_TIME_LIMIT_H_
