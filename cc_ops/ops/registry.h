// One maker per op: reads the op's own options from the map.
#ifndef KERAS_BNN_OPS_REGISTRY_H_
#define KERAS_BNN_OPS_REGISTRY_H_

#include <memory>

#include "ops/op.h"
#include "ops/options.h"

namespace keras_bnn {

std::unique_ptr<Op> MakeQuantize(Options* options);
std::unique_ptr<Op> MakeDequantize(Options* options);
std::unique_ptr<Op> MakeMaxPool2D(Options* options);
std::unique_ptr<Op> MakeConv2D(Options* options);
std::unique_ptr<Op> MakeDepthwiseConv2D(Options* options);
std::unique_ptr<Op> MakeFullyConnected(Options* options);
std::unique_ptr<Op> MakeTransposeConv2D(Options* options);

// The ops of Larq Compute Engine's files; LceQuantize is BnnQuantize.
std::unique_ptr<Op> MakeLceBConv2D(Options* options);
std::unique_ptr<Op> MakeLceBMaxPool2D(Options* options);
std::unique_ptr<Op> MakeLceDequantize(Options* options);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_REGISTRY_H_
