// The ops that the fuzz targets choose from.
#ifndef KERAS_BNN_FUZZ_OP_NAMES_H_
#define KERAS_BNN_FUZZ_OP_NAMES_H_

#include <cstddef>
#include <iterator>

namespace keras_bnn {

constexpr const char* kOpNames[] = {"BnnConv2D",     "BnnFullyConnected", "BnnDepthwiseConv2D", "BnnTransposeConv2D",
                                    "BnnMaxPool2D",  "BnnQuantize",       "BnnDequantize",      "LceBconv2d",
                                    "LceBMaxPool2d", "LceQuantize",       "LceDequantize"};
constexpr std::size_t kOpNameCount = std::size(kOpNames);

}  // namespace keras_bnn

#endif  // KERAS_BNN_FUZZ_OP_NAMES_H_
