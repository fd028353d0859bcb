// The parts of TensorFlow Lite's C ABI that an external delegate needs, declared by ourselves so that the library
// builds without TensorFlow and runs on every stock runtime.
//
// The layouts below are the same from TFLite 2.7 to LiteRT 2.3 (newer runtimes only add members at the end); the static
// checks hold them in place on 64-bit systems and on 32-bit ARM. Names follow tensorflow/lite/core/c/common.h.
#ifndef KERAS_BNN_TFLITE_ABI_H_
#define KERAS_BNN_TFLITE_ABI_H_

#include <cstddef>
#include <cstdint>

extern "C" {

enum TfLiteStatus : int { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType : int { kTfLiteFloat32 = 1, kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt8 = 9 };

constexpr std::int32_t kTfLiteBuiltinCustom = 32;

constexpr int kTfLiteOptionalTensor = -1;  // the index of an input that is left out

enum TfLiteAllocationType : int { kTfLiteMmapRo = 1 };  // a constant of the model file

// size, then that many ints.
struct TfLiteIntArray {
  int size;
  int data[1];
};

struct TfLiteQuantizationParams {
  float scale;
  std::int32_t zero_point;
};

struct TfLiteQuantization {
  int type;
  void* params;
};

struct TfLiteTensor {
  TfLiteType type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  std::size_t bytes;
  const void* allocation;
  const char* name;
  struct TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  TfLiteQuantization quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  struct TfLiteDelegate* delegate;
  bool might_have_side_effect;
};

struct TfLiteRegistration;

struct TfLiteContext {
  std::size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext* context, TfLiteIntArray** execution_plan);
  TfLiteTensor* tensors;
  void* impl_;
  TfLiteStatus (*ResizeTensor)(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* new_size);
  void (*ReportError)(TfLiteContext* context, const char* format, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext* context, int tensors_to_add, int* first_new_tensor_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext* context, int node_index, TfLiteNode** node,
                                         TfLiteRegistration** registration);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext* context, TfLiteRegistration registration,
                                                        const TfLiteIntArray* nodes_to_replace,
                                                        struct TfLiteDelegate* delegate);
  int recommended_num_threads;
  // Members that follow are not used here.
};

struct TfLiteRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, std::size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  const char* (*profiling_string)(const TfLiteContext* context, const TfLiteNode* node);
  std::int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  std::uint64_t inplace_operator;
};

struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext* context, TfLiteDelegate* delegate);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  std::int64_t flags;
  void* opaque_delegate_builder;
};

struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

}  // extern "C"

namespace keras_bnn {

// The only flag value that all runtimes accept for kernels whose tensors are resized later
// (kTfLiteDelegateFlagsAllowDynamicTensors).
constexpr std::int64_t kAllowDynamicTensors = 1;

#if defined(__LP64__) || defined(_WIN64) || defined(__arm__)
// The values are those of 64-bit systems and of 32-bit ARM.
#define KERAS_BNN_CHECK_OFFSET(type, member, on64, on32) \
  static_assert(offsetof(type, member) == (sizeof(void*) == 8 ? (on64) : (on32)), #type "." #member " has moved")
#define KERAS_BNN_CHECK_SIZE(type, on64, on32) \
  static_assert(sizeof(type) == (sizeof(void*) == 8 ? (on64) : (on32)), #type " has another size")
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, data, 8, 4);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, dims, 16, 8);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, params, 24, 12);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, allocation_type, 32, 20);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, bytes, 40, 24);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, name, 56, 32);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, delegate, 64, 36);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, quantization, 80, 48);
KERAS_BNN_CHECK_OFFSET(TfLiteTensor, dims_signature, 104, 60);
KERAS_BNN_CHECK_SIZE(TfLiteTensor, 112, 64);
KERAS_BNN_CHECK_OFFSET(TfLiteNode, user_data, 32, 16);
KERAS_BNN_CHECK_OFFSET(TfLiteNode, builtin_data, 40, 20);
KERAS_BNN_CHECK_OFFSET(TfLiteNode, custom_initial_data, 48, 24);
KERAS_BNN_CHECK_OFFSET(TfLiteNode, custom_initial_data_size, 56, 28);
KERAS_BNN_CHECK_OFFSET(TfLiteNode, delegate, 64, 32);
KERAS_BNN_CHECK_SIZE(TfLiteNode, 80, 40);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, GetExecutionPlan, 8, 4);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, tensors, 16, 8);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, ResizeTensor, 32, 16);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, ReportError, 40, 20);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, GetNodeAndRegistration, 56, 28);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels, 64, 32);
KERAS_BNN_CHECK_OFFSET(TfLiteContext, recommended_num_threads, 72, 36);
KERAS_BNN_CHECK_OFFSET(TfLiteRegistration, profiling_string, 32, 16);
KERAS_BNN_CHECK_OFFSET(TfLiteRegistration, builtin_code, 40, 20);
KERAS_BNN_CHECK_OFFSET(TfLiteRegistration, custom_name, 48, 24);
KERAS_BNN_CHECK_OFFSET(TfLiteRegistration, version, 56, 28);
KERAS_BNN_CHECK_SIZE(TfLiteRegistration, 88, 48);
KERAS_BNN_CHECK_OFFSET(TfLiteDelegate, flags, 40, 24);
KERAS_BNN_CHECK_SIZE(TfLiteDelegate, 56, 40);
KERAS_BNN_CHECK_OFFSET(TfLiteDelegateParams, output_tensors, 24, 12);
KERAS_BNN_CHECK_SIZE(TfLiteDelegateParams, 32, 16);
#undef KERAS_BNN_CHECK_OFFSET
#undef KERAS_BNN_CHECK_SIZE
#endif

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_ABI_H_
