// The layout of the C structs beside the measured one; more members than abi.h checks itself.
#include "tflite/abi.h"

#include <gtest/gtest.h>

namespace keras_bnn {
namespace {

#if defined(__LP64__)
TEST(AbiTest, Tensor) {
  EXPECT_EQ(offsetof(TfLiteTensor, type), 0u);
  EXPECT_EQ(offsetof(TfLiteTensor, allocation), 48u);
  EXPECT_EQ(offsetof(TfLiteTensor, buffer_handle), 72u);
  EXPECT_EQ(offsetof(TfLiteTensor, data_is_stale), 76u);
  EXPECT_EQ(offsetof(TfLiteTensor, is_variable), 77u);
  EXPECT_EQ(offsetof(TfLiteTensor, sparsity), 96u);
}

TEST(AbiTest, Node) {
  EXPECT_EQ(offsetof(TfLiteNode, inputs), 0u);
  EXPECT_EQ(offsetof(TfLiteNode, outputs), 8u);
  EXPECT_EQ(offsetof(TfLiteNode, intermediates), 16u);
  EXPECT_EQ(offsetof(TfLiteNode, temporaries), 24u);
}

TEST(AbiTest, Context) {
  EXPECT_EQ(offsetof(TfLiteContext, tensors_size), 0u);
  EXPECT_EQ(offsetof(TfLiteContext, AddTensors), 48u);
}

TEST(AbiTest, Registration) {
  EXPECT_EQ(offsetof(TfLiteRegistration, init), 0u);
  EXPECT_EQ(offsetof(TfLiteRegistration, free), 8u);
  EXPECT_EQ(offsetof(TfLiteRegistration, prepare), 16u);
  EXPECT_EQ(offsetof(TfLiteRegistration, invoke), 24u);
  EXPECT_EQ(offsetof(TfLiteRegistration, profiling_string), 32u);
}

TEST(AbiTest, Delegate) {
  EXPECT_EQ(offsetof(TfLiteDelegate, data_), 0u);
  EXPECT_EQ(offsetof(TfLiteDelegate, Prepare), 8u);
  EXPECT_EQ(offsetof(TfLiteDelegate, opaque_delegate_builder), 48u);
}

TEST(AbiTest, DelegateParams) {
  EXPECT_EQ(offsetof(TfLiteDelegateParams, delegate), 0u);
  EXPECT_EQ(offsetof(TfLiteDelegateParams, nodes_to_replace), 8u);
  EXPECT_EQ(offsetof(TfLiteDelegateParams, input_tensors), 16u);
}
#endif

TEST(AbiTest, IntArrayIsTheSizeThenTheValues) {
  EXPECT_EQ(offsetof(TfLiteIntArray, size), 0u);
  EXPECT_EQ(offsetof(TfLiteIntArray, data), sizeof(int));
}

}  // namespace
}  // namespace keras_bnn
