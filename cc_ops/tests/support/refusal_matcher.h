#ifndef KERAS_BNN_TESTS_SUPPORT_REFUSAL_MATCHER_H_
#define KERAS_BNN_TESTS_SUPPORT_REFUSAL_MATCHER_H_

#include <gmock/gmock.h>

#include "core/refusal.h"

// That a statement throws a Refusal whose sentence contains `text`.
#define EXPECT_REFUSAL(statement, text) \
  EXPECT_THAT([&] { statement; }, testing::ThrowsMessage<keras_bnn::Refusal>(testing::HasSubstr(text)))

#endif  // KERAS_BNN_TESTS_SUPPORT_REFUSAL_MATCHER_H_
