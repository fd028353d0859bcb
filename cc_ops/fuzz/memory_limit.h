// Memory runs out early, so that a case of a huge tensor ends in an exception and not in a slow or killed process.
#ifndef KERAS_BNN_FUZZ_MEMORY_LIMIT_H_
#define KERAS_BNN_FUZZ_MEMORY_LIMIT_H_

namespace keras_bnn {

// As long as it lives, operator new gives no large blocks. libFuzzer itself takes larger ones, between the cases.
class MemoryLimit {
 public:
  MemoryLimit();
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_FUZZ_MEMORY_LIMIT_H_
