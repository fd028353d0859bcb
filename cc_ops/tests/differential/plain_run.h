// The ops of docs/format.md written down from its text, as plainly as possible: no word of bits at once, and floats in
// doubles that are rounded where the text says so. (The double result of one float operation, rounded to float32, is
// what float32 arithmetic gives: a double has more than twice as many bits.)
#ifndef KERAS_BNN_TESTS_DIFFERENTIAL_PLAIN_RUN_H_
#define KERAS_BNN_TESTS_DIFFERENTIAL_PLAIN_RUN_H_

#include "differential/case.h"

namespace keras_bnn {

// Finds the dims and the data of the outputs.
void RunPlain(Case* run);

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_DIFFERENTIAL_PLAIN_RUN_H_
