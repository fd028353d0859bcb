// A layer with a binary kernel, as kernels take it.
#ifndef KERAS_BNN_KERNELS_CONV_LAYER_H_
#define KERAS_BNN_KERNELS_CONV_LAYER_H_

#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/packed_kernel.h"

namespace keras_bnn {

enum class ConvInput { kBits, kFloat32, kInt8, kUInt8 };

// What does not change with the size of the image. The pointers are read by the constructor of a kernel only.
struct ConvLayer {
  ConvInput input;
  KernelShape kernel;
  int pad_value;            // 0, 1 or -1
  std::int32_t zero_point;  // of int8 and uint8 x
  std::int32_t offset;      // added to the accumulators of binary x
  const Word* weights;
  EpilogueLayer epilogue;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_CONV_LAYER_H_
