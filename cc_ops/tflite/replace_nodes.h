// Hands nodes to a delegate's kernels, on every runtime.
#ifndef KERAS_BNN_TFLITE_REPLACE_NODES_H_
#define KERAS_BNN_TFLITE_REPLACE_NODES_H_

#include "tflite/abi.h"

namespace keras_bnn {

// Calls ReplaceNodeSubsetsWithDelegateKernels, with a registration of the size that this runtime expects. Throws a
// Refusal where that is a size that no known runtime has. `plan_size` is the number of nodes in the execution plan.
TfLiteStatus ReplaceNodes(TfLiteContext* context, int plan_size, const TfLiteRegistration& registration,
                          const TfLiteIntArray* nodes, TfLiteDelegate* delegate);

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_REPLACE_NODES_H_
