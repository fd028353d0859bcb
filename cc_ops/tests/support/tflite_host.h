// A small runtime that plays TensorFlow Lite's part of the ABI: tensors, nodes, an execution plan and a delegate's
// kernels.
//
// It is as unkind as the real ones: original nodes can be read only while a delegate is applied, tables of nodes and
// tensors move, tensors inside a partition have no data, and the others end at an unmapped page. It believes a file as
// little as they do: constants keep their size, and nothing runs before all
// tensors have their memory.
#ifndef KERAS_BNN_TESTS_SUPPORT_TFLITE_HOST_H_
#define KERAS_BNN_TESTS_SUPPORT_TFLITE_HOST_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "support/guarded_array.h"
#include "tflite/abi.h"

namespace keras_bnn {

class TfLiteHost {
 public:
  TfLiteHost();
  ~TfLiteHost();
  TfLiteHost(const TfLiteHost&) = delete;
  TfLiteHost& operator=(const TfLiteHost&) = delete;

  // Building a model. Each returns the index of its tensor; the data of a constant is copied.
  int AddTensor(const char* name, TfLiteType type, const std::vector<int>& dims);
  template <typename T>
  int AddConstant(const char* name, TfLiteType type, const std::vector<int>& dims, const std::vector<T>& values) {
    return AddConstantBytes(name, type, dims, values.data(), values.size() * sizeof(T));
  }
  int AddConstantBytes(const char* name, TfLiteType type, const std::vector<int>& dims, const void* data,
                       std::size_t bytes);
  void SetQuantization(int tensor, float scale, std::int32_t zero_point);
  void AddNode(const char* custom_name, const std::vector<int>& inputs, const std::vector<int>& outputs,
               const std::vector<std::uint8_t>& options);
  // An op that the runtime has itself: copies a tensor.
  void AddCopyNode(int from, int to);
  // Another one, that does to its output what ops may do while they are prepared, and then nothing.
  enum class Change { kFloat32, kInt8, kScale, kNoMemory };
  void AddChangingNode(int from, int to, Change change);
  void SetInputsAndOutputs(const std::vector<int>& inputs, const std::vector<int>& outputs);

  // Running it.
  TfLiteStatus Apply(TfLiteDelegate* delegate);
  TfLiteStatus ResizeInput(int tensor, const std::vector<int>& dims);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  void SetThreads(int threads);
  // Registers a custom op: the nodes of this name are the op's from now on.
  void AddCustomOp(const char* name, const TfLiteRegistration& registration);

  template <typename T>
  void Write(int tensor, const std::vector<T>& values) {
    WriteBytes(tensor, values.data(), values.size() * sizeof(T));
  }
  template <typename T>
  std::vector<T> Read(int tensor) const {
    std::vector<T> values(TensorBytes(tensor) / sizeof(T));
    ReadBytes(tensor, values.data(), values.size() * sizeof(T));
    return values;
  }
  void WriteBytes(int tensor, const void* data, std::size_t bytes);
  void ReadBytes(int tensor, void* data, std::size_t bytes) const;

  // What happened.
  std::vector<int> Dims(int tensor) const;
  bool HasData(int tensor) const;
  std::size_t TensorBytes(int tensor) const;
  int PartitionCount() const;
  std::vector<std::string> ProfilingStrings() const;            // what a profiler adds to the name of each partition
  const std::string& reports() const { return reports_; }       // all errors, one after the other
  const std::vector<int>& resized() const { return resized_; }  // tensors that ResizeTensor was called for
  void FailResizes() { resizes_fail_ = true; }
  // Whether this thread is in the delegate's code, of those that call each other.
  static bool IsInDelegate();
  // Older runtimes have a smaller TfLiteRegistration, of kWords pointers.
  template <int kWords>
  void SetRegistrationWords() {
    registration_bytes_ = kWords * sizeof(void*);
    const auto replace = ReplaceWith<kWords>;
    context_.ReplaceNodeSubsetsWithDelegateKernels =
        reinterpret_cast<decltype(context_.ReplaceNodeSubsetsWithDelegateKernels)>(
            reinterpret_cast<void (*)()>(replace));
  }
  // What a damaged file says of the options of the last node, and a careless program of its memory.
  void SetLastOptionsSize(int bytes);
  void MisalignData(int tensor);
  // Larger tensors are not allocated, as when memory runs out.
  void SetMostTensorBytes(std::size_t bytes) { most_tensor_bytes_ = bytes; }

 private:
  struct Node;

  static TfLiteHost* From(TfLiteContext* context) { return static_cast<TfLiteHost*>(context->impl_); }
  static TfLiteStatus GetExecutionPlan(TfLiteContext* context, TfLiteIntArray** plan);
  static TfLiteStatus ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* size);
  static void ReportError(TfLiteContext* context, const char* format, ...);
  static TfLiteStatus GetNodeAndRegistration(TfLiteContext* context, int index, TfLiteNode** node,
                                             TfLiteRegistration** registration);
  static TfLiteStatus Replace(TfLiteContext* context, TfLiteRegistration registration, const TfLiteIntArray* nodes,
                              TfLiteDelegate* delegate);
  template <int kWords>
  struct Registration {
    void* words[kWords];
  };
  template <int kWords>
  static TfLiteStatus ReplaceWith(TfLiteContext* context, Registration<kWords> older, const TfLiteIntArray* nodes,
                                  TfLiteDelegate* delegate) {
    TfLiteRegistration registration = {};
    std::memcpy(&registration, &older, sizeof(older));
    return Replace(context, registration, nodes, delegate);
  }

  void SetDims(int tensor, const std::vector<int>& dims);
  void ReplaceRun(const std::vector<int>& nodes, const TfLiteRegistration& registration, TfLiteDelegate* delegate);
  bool IsReadOutside(int tensor, const std::vector<int>& nodes) const;
  void MoveTables();

  TfLiteContext context_ = {};
  std::vector<TfLiteTensor> tensors_;
  std::vector<std::vector<int>> dims_;  // laid out as TfLiteIntArrays
  std::vector<std::unique_ptr<GuardedArray<unsigned char>>> data_;
  std::vector<std::string> names_;
  std::vector<Node> nodes_;
  std::vector<unsigned char> node_table_;  // pairs of TfLiteNode and TfLiteRegistration, as the runtimes keep them
  std::size_t registration_bytes_ = sizeof(TfLiteRegistration);
  std::vector<int> plan_;
  std::vector<int> handed_plan_;  // laid out as a TfLiteIntArray
  std::vector<int> inputs_, outputs_;
  bool applying_ = false;
  bool allocated_ = false;  // since the last change of a size
  bool resizes_fail_ = false;
  std::size_t most_tensor_bytes_ = std::size_t{1} << (sizeof(std::size_t) == 8 ? 40 : 30);
  std::string reports_;
  std::vector<int> resized_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_TFLITE_HOST_H_
