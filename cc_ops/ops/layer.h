// What BnnConv2D and BnnFullyConnected have in common: x, a binary kernel, and how accumulators become outputs.
#ifndef KERAS_BNN_OPS_LAYER_H_
#define KERAS_BNN_OPS_LAYER_H_

#include <memory>
#include <vector>

#include "kernels/conv2d.h"
#include "ops/op.h"
#include "ops/options.h"

namespace keras_bnn {

struct Activations {
  Range pre, post;
  bool any;  // whether one of them is not "none"

  static Activations From(Options* options);
};

// Fills in input, output, channel parameters, activations and zero point of a layer with inputs
// (x, weights, multiplier, bias) or (x, weights, thresholds). `weights` stays the caller's to check.
ConvLayer DescribeLayer(const std::vector<TensorInfo>& inputs, ElementType output, const KernelShape& kernel,
                        const Activations& activations, int pad_value);

// Refuses sums that an accumulator cannot hold. `inputs_per_output` is taps * channels of a group.
void CheckAccumulator(ElementType x, std::int64_t inputs_per_output);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_LAYER_H_
