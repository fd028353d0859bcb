#ifndef KERAS_BNN_TESTS_SUPPORT_EXPECT_REFUSAL_H_
#define KERAS_BNN_TESTS_SUPPORT_EXPECT_REFUSAL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/refusal.h"

// That a statement throws a Refusal whose sentence contains `text`. No lambda holds the statement: in C++17 it could
// not name structured bindings.
#define EXPECT_REFUSAL(statement, text)                      \
  do {                                                       \
    try {                                                    \
      statement;                                             \
      ADD_FAILURE() << "no refusal by " #statement;          \
    } catch (const keras_bnn::Refusal& refusal) {            \
      EXPECT_THAT(refusal.what(), testing::HasSubstr(text)); \
    }                                                        \
  } while (false)

#endif  // KERAS_BNN_TESTS_SUPPORT_EXPECT_REFUSAL_H_
