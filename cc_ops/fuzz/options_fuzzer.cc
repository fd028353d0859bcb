// The options of every op: arbitrary bytes are read or refused, never believed.
#include <cstddef>
#include <cstdint>

#include "core/refusal.h"
#include "fuzz/op_names.h"
#include "ops/op.h"

// The first byte chooses the op, the others are its options.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    keras_bnn::MakeOp(keras_bnn::kOpNames[data[0] % keras_bnn::kOpNameCount], data + 1, size - 1);
  } catch (const keras_bnn::Refusal&) {
    // What most bytes deserve.
  }
  return 0;
}
