// A run of neighbouring binary ops that the runtime executes as one node.
//
// Tensors between the ops of a partition belong to it: they live in its arena, which is planned in Prepare, and the
// runtime never sees them. Everything else (the partition's inputs and outputs) is the runtime's.
#ifndef KERAS_BNN_TFLITE_PARTITION_H_
#define KERAS_BNN_TFLITE_PARTITION_H_

#include <memory>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/kernel_set.h"
#include "ops/op.h"
#include "tflite/abi.h"

namespace keras_bnn {

class Partition {
 public:
  // Reads the original nodes; only possible while the runtime initialises the partition. Refuses options it cannot
  // read.
  Partition(TfLiteContext* context, const TfLiteDelegateParams& params, const KernelSet& kernels, ThreadPool* pool);

  // Sizes all tensors from the inputs' present sizes and plans the arena.
  void Prepare(TfLiteContext* context);

  void Run(TfLiteContext* context);

 private:
  struct Step {
    std::string name;         // of the op
    std::vector<int> inputs;  // indices of the runtime's tensors
    std::vector<int> outputs;
    std::unique_ptr<Op> op;
    std::vector<const void*> input_data;  // filled for each run
    std::vector<void*> output_data;       // the same

    // What errors call the step: its op and its first output.
    std::string Name(const TfLiteContext* context) const;
  };

  // A tensor between two steps.
  struct Inner {
    std::vector<int> dims;
    std::size_t offset = 0;  // in the arena, bytes
    int first_step = 0;      // that writes it
    int last_step = 0;       // that reads it
  };

  Inner* FindInner(int tensor);
  TensorInfo Describe(const TfLiteContext* context, int tensor);
  void PlanArena(const TfLiteContext* context);

  const KernelSet* kernels_;
  ThreadPool* pool_;
  int threads_ = 1;  // as of the last Prepare: the scratch of the ops is made for so many
  std::vector<Step> steps_;
  std::vector<std::pair<int, Inner>> inner_;  // by tensor index
  std::vector<unsigned char> arena_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_PARTITION_H_
