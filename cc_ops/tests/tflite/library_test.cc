// The shared library as a runtime finds it: loaded by its path, with the C functions. (exports_test.cmake looks for
// others.)
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tflite/abi.h"

namespace keras_bnn {
namespace {

class LibraryTest : public testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(KERAS_BNN_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
  }
  void TearDown() override {
    if (library_ != nullptr) dlclose(library_);
  }

  template <typename Function>
  Function* Find(const char* name) {
    return reinterpret_cast<Function*>(dlsym(library_, name));
  }

  void* library_ = nullptr;
};

TEST_F(LibraryTest, ExportsTheCInterface) {
  for (const char* name :
       {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate", "KerasBnnOpCount", "KerasBnnOpName",
        "KerasBnnOpRegistration", "KerasBnnRegisterAccelerator", "KerasBnnGetProfile", "KerasBnnGetMemory",
        "KerasBnnWeightBytes", "KerasBnnMeasurePeak", "KerasBnnVersion", "KerasBnnKernelSetCount",
        "KerasBnnKernelSetName", "KerasBnnKernelSetSupported", "KerasBnnChosenKernelSet"}) {
    EXPECT_NE(dlsym(library_, name), nullptr) << name;
  }
}

TEST_F(LibraryTest, MakesADelegate) {
  auto* create =
      Find<TfLiteDelegate*(char**, char**, std::size_t, void (*)(const char*))>("tflite_plugin_create_delegate");
  auto* destroy = Find<void(TfLiteDelegate*)>("tflite_plugin_destroy_delegate");
  ASSERT_NE(create, nullptr);
  ASSERT_NE(destroy, nullptr);
  TfLiteDelegate* delegate = create(nullptr, nullptr, 0, nullptr);
  ASSERT_NE(delegate, nullptr);
  EXPECT_EQ(delegate->flags, kAllowDynamicTensors);
  destroy(delegate);
}

}  // namespace
}  // namespace keras_bnn
