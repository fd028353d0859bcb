// What BnnConv2D and BnnFullyConnected have in common: x and a binary kernel.
#ifndef KERAS_BNN_OPS_LAYER_H_
#define KERAS_BNN_OPS_LAYER_H_

#include <cstdint>
#include <vector>

#include "kernels/conv_layer.h"
#include "ops/epilogue.h"
#include "ops/op.h"

namespace keras_bnn {

// The layer of an op with these tensors. `weights` stays the caller's to check.
ConvLayer DescribeLayer(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                        const KernelShape& kernel, const EpilogueOptions& epilogue, int pad_value);

// Refuses sums that an accumulator cannot hold. `inputs_per_output` is taps * channels of a group.
void CheckAccumulator(ElementType x, std::int64_t inputs_per_output);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_LAYER_H_
