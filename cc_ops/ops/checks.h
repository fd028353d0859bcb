// Checks of tensors that several ops share; each refuses with what came and what was expected.
#ifndef KERAS_BNN_OPS_CHECKS_H_
#define KERAS_BNN_OPS_CHECKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ops/op.h"

namespace keras_bnn {

std::string ShapeText(const std::vector<int>& dims);  // "[1, 28, 28, 1]"

// The product of the dimensions; refuses a negative dimension, and a product of 2^31 or more (dimensions of 0 left
// out).
std::int64_t CheckedElements(const char* what, const std::vector<int>& dims);

// The same of the input x; also refuses an x that is constant and holds more or fewer bytes than its shape says, as
// runtimes let files say, or lies at an address that its elements cannot have.
std::int64_t CheckedElements(const TensorInfo& x);

// Refuses a number of inputs that is neither of the two, and inputs that are left out.
void CheckInputCount(const std::vector<TensorInfo>& inputs, int expected, int or_expected);

// Refuses a number of outputs that is neither of the two.
void CheckOutputCount(const std::vector<TensorInfo>& outputs, int expected, int or_expected);

// Refuses an int8 or uint8 tensor without one scale and zero point for the whole tensor, and a zero point outside the
// type.
void CheckQuantization(const char* what, const TensorInfo& tensor);

// Refuses x that is no image [N, H, W, words] of packed bits with this number of channels.
void CheckPackedImage(const TensorInfo& x, int channels);

void CheckRank(const char* what, const TensorInfo& tensor, int rank);

// The data of a constant tensor of this type and shape (dimension -1: any but 0), checked against the size of its
// buffer.
const void* CheckedConstant(const char* what, const TensorInfo& tensor, ElementType type, const std::vector<int>& dims);

// Refuses packed weights with bits behind the last of so many channels, of which kernels may make anything.
void CheckUnusedBits(const TensorInfo& weights, int channels);

// The same for rows that may have unused bits anywhere, between the pixels of a flattened image: refuses weights with
// more bits set, in some row or other, than there are channels.
void CheckUsedBits(const TensorInfo& weights, int channels);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_CHECKS_H_
