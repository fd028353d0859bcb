// A delegate inside a runtime, for the tests of partitions.
#ifndef KERAS_BNN_TESTS_SUPPORT_PARTITION_FIXTURE_H_
#define KERAS_BNN_TESTS_SUPPORT_PARTITION_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "keras_bnn/keras_bnn.h"
#include "support/flexbuffer_map.h"
#include "support/plain.h"
#include "support/tflite_host.h"

namespace keras_bnn {

inline const Bytes kVersionOnly = FlexbufferMap({{"version", 1}});

inline Bytes PoolOptions(int window, int padding) {
  return FlexbufferMap({{"version", 1}, {"window_h", window}, {"window_w", window}, {"padding", padding}});
}

class PartitionTest : public testing::Test {
 protected:
  ~PartitionTest() override {
    host_.reset();  // before its delegate
    tflite_plugin_destroy_delegate(delegate_);
  }

  int Float(const char* name, const std::vector<int>& dims) { return host_->AddTensor(name, kTfLiteFloat32, dims); }
  int Words(const char* name, const std::vector<int>& dims) { return host_->AddTensor(name, kTfLiteInt32, dims); }

  std::vector<Word> PlainQuantize(const std::vector<float>& x, int channels) {
    std::vector<int> signs;
    for (const float value : x) signs.push_back(value < 0.0f ? -1 : 1);
    return PackSigns(signs, channels);
  }

  // A tensor between two steps belongs to the partition: the runtime must never see a size or data for it.
  void ExpectUntouched(int tensor) {
    EXPECT_EQ(host_->Dims(tensor), (std::vector<int>{7, 7, 7}));
    EXPECT_FALSE(host_->HasData(tensor));
    EXPECT_THAT(host_->resized(), testing::Not(testing::Contains(tensor)));
  }

  const std::vector<int> kUnknown = {7, 7, 7};  // the dims that inner tensors have in the file: none of ours to use
  std::unique_ptr<TfLiteHost> host_ = std::make_unique<TfLiteHost>();
  TfLiteDelegate* delegate_ = tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr);
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_PARTITION_FIXTURE_H_
