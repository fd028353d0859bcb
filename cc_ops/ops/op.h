// The custom ops of the file format and of Larq Compute Engine's files, independent of the runtime that hosts them:
// tensors are described by TensorInfo, and data comes in as plain pointers.
#ifndef KERAS_BNN_OPS_OP_H_
#define KERAS_BNN_OPS_OP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/memory_use.h"
#include "core/thread_pool.h"
#include "kernels/kernel_set.h"

namespace keras_bnn {

enum class ElementType { kFloat32, kInt32, kUInt8, kInt8, kOther };

const char* NameOf(ElementType type);
int BytesOf(ElementType type);

using Dims = std::vector<int>;

struct TensorInfo {
  bool absent = false;  // an optional input that is left out; the rest then means nothing
  ElementType type = ElementType::kOther;
  Dims dims;
  float scale = 0.0f;  // of int8 and uint8
  std::int32_t zero_point = 0;
  const void* constant = nullptr;  // the data of a constant tensor, else null
  std::size_t constant_bytes = 0;

  int rank() const { return static_cast<int>(dims.size()); }
  int last_dim() const { return dims.empty() ? 1 : dims.back(); }
};

// What an op may use while it runs.
struct Resources {
  const KernelSet& kernels;
  ThreadPool& pool;
  int threads;  // how many of the pool's to use
};

class Op {
 public:
  virtual ~Op() = default;

  // Checks the tensors, makes room for their sizes, and returns the dimensions of every output. Refuses what it cannot
  // run. Of the outputs, types and quantization count; their dims, at first those of the file, are what this call finds
  // out. May be called again with other sizes; constant inputs stay the same.
  virtual std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                                    const Resources& resources) = 0;

  // Computes the outputs from inputs of the sizes last prepared for; an absent input is null. Does not throw, and
  // allocates nothing.
  virtual void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
                   const Resources& resources) = 0;

  // What the op holds, once it is prepared.
  virtual MemoryUse Memory() const { return {}; }
};

// The names of all ops.
constexpr int kOpCount = 11;
const char* OpName(int index);

// Whether there is an op of this name.
bool IsOp(const char* name);

// The op `name` with the options of the file; refuses options that the format does not know.
std::unique_ptr<Op> MakeOp(const char* name, const std::uint8_t* options, std::size_t options_size);

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_OP_H_
