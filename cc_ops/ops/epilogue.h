// What the ops that sum have in common after their sums: multiplier, bias, activations and steps or thresholds among
// the inputs, and y, bits or both among the outputs (docs/format.md).
#ifndef KERAS_BNN_OPS_EPILOGUE_H_
#define KERAS_BNN_OPS_EPILOGUE_H_

#include <vector>

#include "kernels/epilogue.h"
#include "ops/op.h"
#include "ops/options.h"

namespace keras_bnn {

// The limits of an activation, by TFLite's number: 0 none, 1 ReLU, 2 ReLU -1 to 1, 3 ReLU6.
Range ActivationRange(int number);

// The options activation, pre_activation and steps.
struct EpilogueOptions {
  Range pre_activation, activation;
  bool has_activation;  // whether one of them is not "none"
  std::vector<StepKind> steps;

  static EpilogueOptions From(Options* options);
};

// Refuses another number of inputs or outputs than these options take, inputs that are left out, and outputs of other
// types.
void CheckTensors(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                  const EpilogueOptions& options);

// The epilogue of an op whose inputs from the third on are the format's; its constants stay the file's. `exact_sums`:
// whether the accumulators are integers, which thresholds need.
EpilogueLayer DescribeEpilogue(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                               int channels_out, bool exact_sums, const EpilogueOptions& options);

// How each step's operand lies beside a y of this shape; refuses operands of other shapes. `images`: whether y is
// [N, OH, OW, O], so that an operand may be [N, 1, 1, O].
std::vector<OperandShape> CheckOperands(const std::vector<TensorInfo>& inputs, const EpilogueOptions& options,
                                        const Dims& y, bool images);

// The dimensions of each output, of an op with a y of this shape.
std::vector<Dims> OutputDims(const std::vector<TensorInfo>& outputs, const Dims& y);

// Where a run of the op finds the operands and the outputs; points into both vectors.
EpilogueData DataOf(const std::vector<const void*>& inputs, const std::vector<void*>& outputs);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_EPILOGUE_H_
