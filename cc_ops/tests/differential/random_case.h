// Random ops: every op and option of docs/format.md, in small shapes around the sizes of words and registers, and now
// and then in a shape that takes several threads or more words than 16 bits count.
#ifndef KERAS_BNN_TESTS_DIFFERENTIAL_RANDOM_CASE_H_
#define KERAS_BNN_TESTS_DIFFERENTIAL_RANDOM_CASE_H_

#include "differential/case.h"
#include "support/random.h"

namespace keras_bnn {

// Without the outputs' dims and data.
Case RandomCase(Random* random);

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_DIFFERENTIAL_RANDOM_CASE_H_
