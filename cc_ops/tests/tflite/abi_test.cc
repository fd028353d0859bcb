// The layout of the C structs beside the measured one; more members than abi.h checks itself.
#include "tflite/abi.h"

#include <gtest/gtest.h>

namespace keras_bnn {
namespace {

#if defined(__LP64__) || defined(__arm__)
std::size_t Offset(std::size_t on64, std::size_t on32) { return sizeof(void*) == 8 ? on64 : on32; }

TEST(AbiTest, Tensor) {
  EXPECT_EQ(offsetof(TfLiteTensor, type), 0u);
  EXPECT_EQ(offsetof(TfLiteTensor, allocation), Offset(48, 28));
  EXPECT_EQ(offsetof(TfLiteTensor, buffer_handle), Offset(72, 40));
  EXPECT_EQ(offsetof(TfLiteTensor, data_is_stale), Offset(76, 44));
  EXPECT_EQ(offsetof(TfLiteTensor, is_variable), Offset(77, 45));
  EXPECT_EQ(offsetof(TfLiteTensor, sparsity), Offset(96, 56));
}

TEST(AbiTest, Node) {
  EXPECT_EQ(offsetof(TfLiteNode, inputs), 0u);
  EXPECT_EQ(offsetof(TfLiteNode, outputs), Offset(8, 4));
  EXPECT_EQ(offsetof(TfLiteNode, intermediates), Offset(16, 8));
  EXPECT_EQ(offsetof(TfLiteNode, temporaries), Offset(24, 12));
}

TEST(AbiTest, Context) {
  EXPECT_EQ(offsetof(TfLiteContext, tensors_size), 0u);
  EXPECT_EQ(offsetof(TfLiteContext, AddTensors), Offset(48, 24));
}

TEST(AbiTest, Registration) {
  EXPECT_EQ(offsetof(TfLiteRegistration, init), 0u);
  EXPECT_EQ(offsetof(TfLiteRegistration, free), Offset(8, 4));
  EXPECT_EQ(offsetof(TfLiteRegistration, prepare), Offset(16, 8));
  EXPECT_EQ(offsetof(TfLiteRegistration, invoke), Offset(24, 12));
  EXPECT_EQ(offsetof(TfLiteRegistration, profiling_string), Offset(32, 16));
}

TEST(AbiTest, Delegate) {
  EXPECT_EQ(offsetof(TfLiteDelegate, data_), 0u);
  EXPECT_EQ(offsetof(TfLiteDelegate, Prepare), Offset(8, 4));
  EXPECT_EQ(offsetof(TfLiteDelegate, opaque_delegate_builder), Offset(48, 32));
}

TEST(AbiTest, DelegateParams) {
  EXPECT_EQ(offsetof(TfLiteDelegateParams, delegate), 0u);
  EXPECT_EQ(offsetof(TfLiteDelegateParams, nodes_to_replace), Offset(8, 4));
  EXPECT_EQ(offsetof(TfLiteDelegateParams, input_tensors), Offset(16, 8));
}
#endif

TEST(AbiTest, IntArrayIsTheSizeThenTheValues) {
  EXPECT_EQ(offsetof(TfLiteIntArray, size), 0u);
  EXPECT_EQ(offsetof(TfLiteIntArray, data), sizeof(int));
}

}  // namespace
}  // namespace keras_bnn
