// Counts what the test program takes from operator new, to hold the library to its promise not to allocate while it
// runs a model; and lets it fail, to hold it to that of a report where memory runs out.
#ifndef KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
#define KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_

#include <cstddef>

namespace keras_bnn {

// Calls of operator new so far, on all threads.
std::size_t AllocationCount();

// The bytes they asked for, freed or not.
std::size_t AllocatedBytes();

// Those whose memory has not been freed.
std::size_t AllocationsAlive();

// While it lives, one call of operator new on this thread fails: the one that `number` others come before, of those
// during which `counts` is true.
class FailingAllocation {
 public:
  FailingAllocation(std::size_t number, bool (*counts)());
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // Whether it has failed.
  bool happened() const;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
