// The accelerator in an environment that plays LiteRT's part; tests/cpp has the real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "keras_bnn/keras_bnn.h"
#include "support/tflite_host.h"
#include "tflite/abi.h"

// LiteRT's own structs, of which it hands out pointers alone.
struct LiteRtEnvironmentT {};

namespace keras_bnn {
namespace {

using testing::HasSubstr;

struct FakeWrapper {
  TfLiteDelegate* delegate;
  void (*destroy)(TfLiteDelegate*);
};

struct FakeVersion {
  int major, minor, patch;
};

struct FakeAccelerator {
  int (*get_name)(const FakeAccelerator*, const char**);
  int (*get_version)(const FakeAccelerator*, FakeVersion*);
  int (*get_hardware)(const FakeAccelerator*, int*);
  int (*create_delegate)(void* runtime, LiteRtEnvironmentT*, FakeAccelerator*, void* options, FakeWrapper**);
  LiteRtEnvironmentT* environment;
  void* data;
  void (*release)(void*);
};

FakeAccelerator* registered = nullptr;
const char* missing = nullptr;  // a function that LiteRT lacks
const char* failing = nullptr;  // one that fails
std::string last_report;

int Status(const char* function) { return failing != nullptr && std::strcmp(failing, function) == 0 ? 3 : 0; }

int Create(FakeAccelerator** accelerator) {
  if (Status("LiteRtCreateAccelerator") != 0) return 3;
  *accelerator = new FakeAccelerator{};
  return 0;
}

int Register(LiteRtEnvironmentT* environment, FakeAccelerator* accelerator, void* data, void (*release)(void*)) {
  if (Status("LiteRtRegisterAccelerator") != 0) {
    release(data);
    delete accelerator;
    return 3;
  }
  registered = accelerator;
  accelerator->environment = environment;
  accelerator->data = data;
  accelerator->release = release;
  return 0;
}

int Wrap(TfLiteDelegate* delegate, void (*destroy)(TfLiteDelegate*), FakeWrapper** wrapper) {
  if (Status("LiteRtWrapDelegate") != 0) return 3;
  *wrapper = new FakeWrapper{delegate, destroy};
  return 0;
}

void DestroyWrapper(FakeWrapper* wrapper) {
  wrapper->destroy(wrapper->delegate);
  delete wrapper;
}

template <auto member, typename Value>
int Set(FakeAccelerator* accelerator, Value value) {
  accelerator->*member = value;
  return 0;
}

template <auto member>
void* Setter() {
  return reinterpret_cast<void*>(&Set<member, std::remove_reference_t<decltype(registered->*member)>>);
}

void* Find(const char* name) {
  const std::string text = name;
  if (missing != nullptr && text == missing) return nullptr;
  if (text == "LiteRtCreateAccelerator") return reinterpret_cast<void*>(&Create);
  if (text == "LiteRtSetAcceleratorGetName") return Setter<&FakeAccelerator::get_name>();
  if (text == "LiteRtSetAcceleratorGetVersion") return Setter<&FakeAccelerator::get_version>();
  if (text == "LiteRtSetAcceleratorGetHardwareSupport") return Setter<&FakeAccelerator::get_hardware>();
  if (text == "LiteRtSetDelegateFunction") return Setter<&FakeAccelerator::create_delegate>();
  if (text == "LiteRtRegisterAccelerator") return reinterpret_cast<void*>(&Register);
  if (text == "LiteRtWrapDelegate") return reinterpret_cast<void*>(&Wrap);
  if (text == "LiteRtDestroyDelegateWrapper") return reinterpret_cast<void*>(&DestroyWrapper);
  ADD_FAILURE() << name;
  return nullptr;
}

class AcceleratorTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("KERAS_BNN_ISA");
    missing = failing = nullptr;
    last_report.clear();
  }
  void TearDown() override {
    unsetenv("KERAS_BNN_ISA");
    DestroyEnvironment();
  }

  int RegisterOurs() {
    return KerasBnnRegisterAccelerator(&environment_, Find, [](const char* text) { last_report += text; });
  }

  void DestroyEnvironment() {
    if (registered == nullptr) return;
    registered->release(registered->data);
    delete registered;
    registered = nullptr;
  }

  LiteRtEnvironmentT environment_;
};

TEST_F(AcceleratorTest, TellsWhatItIs) {
  ASSERT_EQ(RegisterOurs(), 1);
  EXPECT_EQ(last_report, "");
  EXPECT_EQ(registered->environment, &environment_);
  const char* name = nullptr;
  EXPECT_EQ(registered->get_name(registered, &name), 0);
  EXPECT_STREQ(name, "keras-bnn");
  FakeVersion version = {-1, -1, -1};
  EXPECT_EQ(registered->get_version(registered, &version), 0);
  const std::string text =
      std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch);
  EXPECT_EQ(text, KerasBnnVersion());
  int hardware = 0;
  EXPECT_EQ(registered->get_hardware(registered, &hardware), 0);
  EXPECT_EQ(hardware, 1);
}

TEST_F(AcceleratorTest, MakesADelegateForEachModel) {
  ASSERT_EQ(RegisterOurs(), 1);
  FakeWrapper* wrappers[2] = {};
  for (FakeWrapper*& wrapper : wrappers) {
    ASSERT_EQ(registered->create_delegate(nullptr, &environment_, registered, nullptr, &wrapper), 0);
    ASSERT_NE(wrapper->delegate, nullptr);
    EXPECT_EQ(wrapper->delegate->flags, kAllowDynamicTensors);
    EXPECT_EQ(wrapper->destroy, tflite_plugin_destroy_delegate);
  }
  EXPECT_NE(wrappers[0]->delegate, wrappers[1]->delegate);
  DestroyEnvironment();  // earlier than what is made in it
  for (FakeWrapper* wrapper : wrappers) DestroyWrapper(wrapper);
}

TEST_F(AcceleratorTest, MakesNoDelegateForAnAcceleratorThatIsNotOurs) {
  ASSERT_EQ(RegisterOurs(), 1);
  FakeAccelerator other = {};
  FakeWrapper* wrapper = nullptr;
  EXPECT_NE(registered->create_delegate(nullptr, &environment_, &other, nullptr, &wrapper), 0);
  EXPECT_EQ(wrapper, nullptr);
}

TEST_F(AcceleratorTest, ADelegateThatCannotBeWrappedIsDestroyed) {
  ASSERT_EQ(RegisterOurs(), 1);
  failing = "LiteRtWrapDelegate";
  FakeWrapper* wrapper = nullptr;
  EXPECT_EQ(registered->create_delegate(nullptr, &environment_, registered, nullptr, &wrapper), 3);
  EXPECT_EQ(wrapper, nullptr);
}

TEST_F(AcceleratorTest, RefusesALiteRtWithoutTheFunctions) {
  for (const char* name :
       {"LiteRtCreateAccelerator", "LiteRtSetDelegateFunction", "LiteRtWrapDelegate", "LiteRtDestroyDelegateWrapper"}) {
    missing = name;
    last_report.clear();
    EXPECT_EQ(RegisterOurs(), 0);
    EXPECT_EQ(last_report,
              "keras-bnn: LiteRT has no function " + std::string(name) + "; expected LiteRT 2.1.6 or newer");
  }
}

TEST_F(AcceleratorTest, ReportsFunctionsThatFail) {
  for (const char* name : {"LiteRtCreateAccelerator", "LiteRtRegisterAccelerator"}) {
    failing = name;
    last_report.clear();
    EXPECT_EQ(RegisterOurs(), 0);
    EXPECT_EQ(last_report, "keras-bnn: " + std::string(name) + " of LiteRT fails with status 3");
  }
}

TEST_F(AcceleratorTest, RefusesNothing) {
  const auto report = [](const char* text) { last_report += text; };
  EXPECT_EQ(KerasBnnRegisterAccelerator(nullptr, Find, report), 0);
  EXPECT_EQ(KerasBnnRegisterAccelerator(&environment_, nullptr, report), 0);
  EXPECT_EQ(KerasBnnRegisterAccelerator(nullptr, nullptr, nullptr), 0);
  EXPECT_THAT(last_report, HasSubstr("no LiteRtEnvironment"));
}

TEST_F(AcceleratorTest, ReportsAKernelSetThatDoesNotRunHere) {
  setenv("KERAS_BNN_ISA", "abacus", 1);
  EXPECT_EQ(RegisterOurs(), 0);
  EXPECT_THAT(last_report, HasSubstr("KERAS_BNN_ISA"));
  unsetenv("KERAS_BNN_ISA");
  ASSERT_EQ(RegisterOurs(), 1);
  setenv("KERAS_BNN_ISA", "abacus", 1);  // later, when a model is compiled
  FakeWrapper* wrapper = nullptr;
  ASSERT_EQ(registered->create_delegate(nullptr, &environment_, registered, nullptr, &wrapper), 0);
  TfLiteHost host;
  EXPECT_EQ(host.Apply(wrapper->delegate), kTfLiteError);  // where the runtime can report it
  EXPECT_THAT(host.reports(), HasSubstr("KERAS_BNN_ISA"));
  DestroyWrapper(wrapper);
}

}  // namespace
}  // namespace keras_bnn
