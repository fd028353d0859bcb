// The delegate inside LiteRT's CompiledModel, which takes delegates from the accelerators of its environment.
//
// The functions below are those of libLiteRt from 2.1.6 on, declared by ourselves; names follow litert/c.
// CreateDelegate is handed no data of ours, only the accelerator, by which it is found again.
#include <cstdlib>
#include <list>
#include <mutex>
#include <string>

#include "core/refusal.h"
#include "keras_bnn/keras_bnn.h"
#include "tflite/abi.h"
#include "tflite/wanted_kernel_set.h"

namespace keras_bnn {
namespace {

enum Status : int { kOk = 0, kInvalidArgument = 1, kRuntimeFailure = 3 };  // some of LiteRtStatus

constexpr int kCpu = 1;  // of the hardware that accelerators are for

struct Version {
  int major, minor, patch;
};

struct RuntimeContext;
struct AcceleratorHandle;
struct OptionsHandle;
struct WrapperHandle;

using CreateFunction = Status(RuntimeContext* runtime, LiteRtEnvironmentT* environment, AcceleratorHandle* accelerator,
                              OptionsHandle* options, WrapperHandle** wrapper);

using WrapFunction = Status(TfLiteDelegate* delegate, void (*destroy)(TfLiteDelegate*), WrapperHandle** wrapper);

struct Functions {
  Status (*create)(AcceleratorHandle** accelerator);
  Status (*set_name)(AcceleratorHandle* accelerator, Status (*get)(const AcceleratorHandle* accelerator, const char**));
  Status (*set_version)(AcceleratorHandle* accelerator, Status (*get)(const AcceleratorHandle* accelerator, Version*));
  Status (*set_hardware)(AcceleratorHandle* accelerator, Status (*get)(const AcceleratorHandle* accelerator, int*));
  Status (*set_delegate)(AcceleratorHandle* accelerator, CreateFunction* create);
  Status (*add)(LiteRtEnvironmentT* environment, AcceleratorHandle* accelerator, void* data, void (*release)(void*));
  WrapFunction* wrap;
};

using Find = void* (*)(const char* name);

template <typename Function>
void Look(Find find, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(find(name));
  if (*function == nullptr) Refuse("LiteRT has no function %s; expected LiteRT 2.1.6 or newer", name);
}

Functions FindFunctions(Find find) {
  Functions functions = {};
  Look(find, "LiteRtCreateAccelerator", &functions.create);
  Look(find, "LiteRtSetAcceleratorGetName", &functions.set_name);
  Look(find, "LiteRtSetAcceleratorGetVersion", &functions.set_version);
  Look(find, "LiteRtSetAcceleratorGetHardwareSupport", &functions.set_hardware);
  Look(find, "LiteRtSetDelegateFunction", &functions.set_delegate);
  Look(find, "LiteRtRegisterAccelerator", &functions.add);
  Look(find, "LiteRtWrapDelegate", &functions.wrap);
  void (*destroy_wrapper)(WrapperHandle*) = nullptr;  // new in 2.1.6: before, functions of these names had other forms
  Look(find, "LiteRtDestroyDelegateWrapper", &destroy_wrapper);
  return functions;
}

// An accelerator of ours, until its environment is destroyed.
struct Accelerator {
  const AcceleratorHandle* handle;
  WrapFunction* wrap;
};

class AcceleratorRegistry {
 public:
  // For good, because environments may outlive every other static object.
  static AcceleratorRegistry& Instance() {
    static auto* const instance = new AcceleratorRegistry;
    return *instance;
  }

  Accelerator* Add(const Accelerator& accelerator) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return &all_.emplace_front(accelerator);
  }

  void Remove(const Accelerator* accelerator) {
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.remove_if([&](const Accelerator& each) { return &each == accelerator; });
  }

  const Accelerator* Find(const AcceleratorHandle* handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Accelerator& each : all_) {
      if (each.handle == handle) return &each;
    }
    return nullptr;
  }

 private:
  std::mutex mutex_;
  std::list<Accelerator> all_;
};

Status GetName(const AcceleratorHandle*, const char** name) {
  *name = "keras-bnn";
  return kOk;
}

Status GetVersion(const AcceleratorHandle*, Version* version) {
  const char* text = KERAS_BNN_VERSION;
  for (int* part : {&version->major, &version->minor, &version->patch}) {
    char* end = nullptr;
    *part = static_cast<int>(std::strtol(text, &end, 10));
    text = *end == '.' ? end + 1 : end;
  }
  return kOk;
}

Status GetHardware(const AcceleratorHandle*, int* hardware) {
  *hardware = kCpu;
  return kOk;
}

Status CreateDelegate(RuntimeContext*, LiteRtEnvironmentT*, AcceleratorHandle* handle, OptionsHandle*,
                      WrapperHandle** wrapper) {
  const Accelerator* accelerator = AcceleratorRegistry::Instance().Find(handle);
  if (accelerator == nullptr) return kInvalidArgument;
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr);
  if (delegate == nullptr) return kRuntimeFailure;
  const Status status = accelerator->wrap(delegate, tflite_plugin_destroy_delegate, wrapper);
  if (status != kOk) tflite_plugin_destroy_delegate(delegate);
  return status;
}

void Release(void* accelerator) { AcceleratorRegistry::Instance().Remove(static_cast<Accelerator*>(accelerator)); }

void Check(Status status, const char* function) {
  if (status != kOk) Refuse("%s of LiteRT fails with status %d", function, status);
}

void Register(LiteRtEnvironmentT* environment, Find find) {
  if (environment == nullptr || find == nullptr) Refuse("no LiteRtEnvironment, or no function that finds LiteRT's");
  WantedKernelSet(nullptr);  // refuses now what every delegate would refuse
  const Functions functions = FindFunctions(find);
  AcceleratorHandle* handle = nullptr;
  Check(functions.create(&handle), "LiteRtCreateAccelerator");
  functions.set_name(handle, GetName);
  functions.set_version(handle, GetVersion);
  functions.set_hardware(handle, GetHardware);
  functions.set_delegate(handle, CreateDelegate);
  Accelerator* accelerator = AcceleratorRegistry::Instance().Add({handle, functions.wrap});
  // Where it fails, it releases the accelerator too.
  Check(functions.add(environment, handle, accelerator, Release), "LiteRtRegisterAccelerator");
}

}  // namespace
}  // namespace keras_bnn

int KerasBnnRegisterAccelerator(LiteRtEnvironmentT* environment, void* (*find_function)(const char* name),
                                void (*report_error)(const char*)) {
  try {
    keras_bnn::Register(environment, find_function);
    return 1;
  } catch (const keras_bnn::Refusal& refusal) {
    if (report_error != nullptr) report_error((std::string("keras-bnn: ") + refusal.what()).c_str());
  } catch (...) {
    if (report_error != nullptr) report_error("keras-bnn: out of memory");
  }
  return 0;
}
