// A run of neighbouring binary ops that the runtime executes as one node.
//
// Tensors between the ops of a partition belong to it: their places in an arena are planned in Prepare, and the runtime
// never sees them. They live for one run, so that the partitions of an interpreter, which run one after the other,
// share the arena. Everything else (the partition's inputs and outputs) is the runtime's.
#ifndef KERAS_BNN_TFLITE_PARTITION_H_
#define KERAS_BNN_TFLITE_PARTITION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "keras_bnn/keras_bnn.h"
#include "kernels/kernel_set.h"
#include "ops/op.h"
#include "tflite/abi.h"

namespace keras_bnn {

// Memory for the tensors between ops.
struct Arena {
  std::vector<unsigned char> bytes;
  int users = 0;  // partitions of one interpreter
};

class Partition {
 public:
  // Reads the original nodes; only possible while the runtime initialises the partition. Refuses options it cannot
  // read.
  Partition(TfLiteContext* context, const TfLiteDelegateParams& params, const KernelSet& kernels, ThreadPool* pool,
            bool profile, Arena* arena);

  // A partition of one op alone, from its node as the runtime prepares it.
  Partition(TfLiteContext* context, const char* name, const TfLiteNode& node, const KernelSet& kernels,
            ThreadPool* pool, Arena* arena);

  // Sizes all tensors from the inputs' present sizes and plans the arena.
  void Prepare(TfLiteContext* context);

  // Refuses tensors that are not as the last Prepare left them.
  void Run(TfLiteContext* context);

  // How many ops of each kind, such as "BnnQuantize+BnnConv2D x 12".
  const std::string& summary() const { return summary_; }

  int ops() const { return static_cast<int>(steps_.size()); }
  KerasBnnOpProfile Profile(int op) const;  // its partition is the caller's to fill in
  KerasBnnMemory Memory() const;

 private:
  // A tensor of a step.
  struct Wire {
    int tensor;      // its index in the runtime, or kTfLiteOptionalTensor
    int inner = -1;  // its index in inner_, or -1 for a tensor of the runtime
  };

  struct Step {
    std::string name;    // of the op
    std::string output;  // the name of its first output
    int node = 0;        // its index in the runtime's graph, which is that of the file
    std::vector<Wire> inputs, outputs;
    std::unique_ptr<Op> op;
    std::vector<const void*> input_data;  // filled for each run
    std::vector<void*> output_data;       // the same
    std::uint64_t nanoseconds = 0;        // of the last run, if it was timed

    // What errors call the step: its op and its first output.
    std::string Name() const;
  };

  // A tensor between two steps.
  struct Inner {
    int tensor = 0;
    Dims dims;
    std::size_t offset = 0;  // in the arena, bytes
    int first_step = 0;      // that writes it
    int last_step = 0;       // that reads it
  };

  // Makes the step of a node. `used` has the tensors that a step has read or written.
  static Step MakeStep(TfLiteContext* context, const char* name, int index, const TfLiteNode& node,
                       std::set<int>* used);
  std::string Summarize() const;
  TensorInfo Describe(const TfLiteContext* context, const Wire& wire);
  void KeepAsPrepared(const Wire& wire, TensorInfo info);
  void CheckTensors(const TfLiteContext* context) const;
  void PlanArena(const TfLiteContext* context);

  const KernelSet* kernels_;
  ThreadPool* pool_;
  const bool profile_;  // whether runs are timed
  std::string summary_;
  int threads_ = 1;  // as of the last Prepare: the scratch of the ops is made for so many
  std::vector<Step> steps_;
  std::vector<Inner> inner_;            // in the order of the steps that write them
  std::map<int, TensorInfo> known_;     // all tensors, as the first Prepare found them
  std::map<int, TensorInfo> outer_;     // the runtime's tensors but for constants, as the last Prepare left them
  std::uint64_t activation_bytes_ = 0;  // that inner_ takes; of 64 bits, also where addresses have 32
  Arena* const arena_;                  // the interpreter's
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_PARTITION_H_
