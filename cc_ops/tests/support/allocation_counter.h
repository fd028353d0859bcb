// Counts what the test program takes from operator new, to hold the library to its promise not to allocate while it
// runs a model.
#ifndef KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
#define KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_

#include <cstddef>

namespace keras_bnn {

// Calls of operator new so far, on all threads.
std::size_t AllocationCount();

// The bytes they asked for, freed or not.
std::size_t AllocatedBytes();

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
