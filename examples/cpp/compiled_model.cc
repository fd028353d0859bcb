// Runs a packed .tflite file with LiteRT's CompiledModel (2.1.6 or newer), through its C API.
//
// LiteRT is loaded while the program runs, so that this compiles without it. A program that has LiteRT's headers
// includes litert/c/litert_compiled_model.h and its like, links libLiteRt, and calls the same functions directly.
#include <keras_bnn/keras_bnn.h>

#include "program.h"

namespace {

constexpr char kUsage[] =
    "usage: compiled_model MODEL.tflite [options]\n"
    "  --runtime LIBRARY  libLiteRt.so, which the Python package ai-edge-litert has too\n"
    "  --input FILE       values as the model's input has them, raw; several inputs one after the other\n";

// From litert/c.
struct LiteRtModelT;
struct LiteRtOptionsT;
struct LiteRtCompiledModelT;
struct LiteRtTensorBufferT;
struct LiteRtTensorBufferRequirementsT;
struct LiteRtSubgraphT;
struct LiteRtTensorT;

struct LiteRtLayout {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  std::int32_t dimensions[8];
  std::uint32_t strides[8];
};

struct LiteRtRankedTensorType {
  int element_type;
  LiteRtLayout layout;
};

constexpr int kCpu = 1;                // kLiteRtHwAcceleratorCpu
constexpr int kRead = 0;               // kLiteRtTensorBufferLockModeRead
constexpr int kWrite = 1;              // kLiteRtTensorBufferLockModeWrite
constexpr std::size_t kSignature = 0;  // the file's first

void* litert = nullptr;  // the library

// Calls a function of LiteRT, each of which returns a status.
template <typename... Parameters>
void Call(const char* name, Parameters... parameters) {
  int (*function)(Parameters...) = nullptr;
  Load(litert, name, &function);
  const int status = function(parameters...);
  if (status != 0) Fail("%s fails with status %d", name, status);
}

template <typename T>
void Destroy(const char* name, T* object) {
  void (*function)(T*) = nullptr;
  Load(litert, name, &function);
  function(object);
}

// An input or output of the model: its type, and a buffer for its values.
struct Buffer {
  Buffer(LiteRtEnvironmentT* environment, LiteRtCompiledModelT* model, const LiteRtRankedTensorType& tensor_type,
         const char* requirements_function, std::size_t index)
      : type(tensor_type.element_type) {
    LiteRtTensorBufferRequirementsT* requirements = nullptr;
    Call(requirements_function, model, kSignature, index, &requirements);
    Call("LiteRtCreateManagedTensorBufferFromRequirements", environment, &tensor_type, requirements, &handle);
    Call("LiteRtGetTensorBufferPackedSize", handle, &bytes);
  }

  // Calls function(values) with the buffer's memory.
  template <typename Function>
  void Access(int mode, const Function& function) {
    void* values = nullptr;
    Call("LiteRtLockTensorBuffer", handle, &values, mode);
    function(values);
    Call("LiteRtUnlockTensorBuffer", handle);
  }

  int type;
  std::size_t bytes = 0;
  LiteRtTensorBufferT* handle = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = ReadArguments(argc, argv, kUsage);
  litert = OpenLibrary(arguments.runtime, {"libLiteRt.so"});

  LiteRtEnvironmentT* environment = nullptr;
  Call("LiteRtCreateEnvironment", 0, static_cast<const void*>(nullptr), &environment);
  // With libLiteRt linked, dlsym(RTLD_DEFAULT, name) finds the functions.
  KerasBnnRegisterAccelerator(
      environment, [](const char* name) { return dlsym(litert, name); }, [](const char* text) { Fail("%s", text); });

  LiteRtModelT* model = nullptr;
  Call("LiteRtCreateModelFromFile", environment, arguments.model.c_str(), &model);
  LiteRtOptionsT* options = nullptr;
  Call("LiteRtCreateOptions", &options);
  Call("LiteRtSetOptionsHardwareAccelerators", options, kCpu);
  LiteRtCompiledModelT* compiled = nullptr;
  Call("LiteRtCreateCompiledModel", environment, model, options, &compiled);

  // The tensors' types are in the file, their sizes in the compiled model.
  LiteRtSubgraphT* subgraph = nullptr;
  Call("LiteRtGetModelSubgraph", model, std::size_t{0}, &subgraph);
  const auto type_of = [&](const char* function, std::size_t index, const LiteRtLayout& layout) {
    LiteRtTensorT* tensor = nullptr;
    LiteRtRankedTensorType type = {};
    Call(function, subgraph, index, &tensor);
    Call("LiteRtGetRankedTensorType", tensor, &type);
    type.layout = layout;
    return type;
  };
  LiteRtLayout input_layout = {};
  Call("LiteRtGetCompiledModelInputTensorLayout", compiled, kSignature, std::size_t{0}, &input_layout);
  Buffer input(environment, compiled, type_of("LiteRtGetSubgraphInput", 0, input_layout),
               "LiteRtGetCompiledModelInputBufferRequirements", 0);
  std::size_t output_count = 0;
  Call("LiteRtGetNumSubgraphOutputs", subgraph, &output_count);
  std::vector<LiteRtLayout> layouts(output_count);
  Call("LiteRtGetCompiledModelOutputTensorLayouts", compiled, kSignature, output_count, layouts.data(), true);
  std::vector<Buffer> outputs;
  std::vector<LiteRtTensorBufferT*> output_handles;
  for (std::size_t i = 0; i < output_count; ++i) {
    outputs.emplace_back(environment, compiled, type_of("LiteRtGetSubgraphOutput", i, layouts[i]),
                         "LiteRtGetCompiledModelOutputBufferRequirements", i);
    output_handles.push_back(outputs.back().handle);
  }

  const auto run = [&] {
    Call("LiteRtRunCompiledModel", compiled, kSignature, std::size_t{1}, &input.handle, output_count,
         output_handles.data());
  };
  const std::vector<char> inputs = ReadInputs(arguments, input.bytes);
  for (std::size_t offset = 0; offset < inputs.size(); offset += input.bytes) {
    const auto begin = inputs.begin() + static_cast<std::ptrdiff_t>(offset);
    input.Access(kWrite, [&](void* values) { std::copy_n(begin, input.bytes, static_cast<char*>(values)); });
    run();
    for (Buffer& output : outputs) {
      output.Access(kRead, [&](const void* values) { PrintValues(output.type, values, output.bytes); });
    }
  }
  std::fprintf(stderr, "%.1f us an inference (median), kernels %s of libkeras_bnn %s\n", MedianMicroseconds(200, run),
               KerasBnnChosenKernelSet(), KerasBnnVersion());

  for (LiteRtTensorBufferT* handle : output_handles) Destroy("LiteRtDestroyTensorBuffer", handle);
  Destroy("LiteRtDestroyTensorBuffer", input.handle);
  Destroy("LiteRtDestroyCompiledModel", compiled);
  Destroy("LiteRtDestroyOptions", options);
  Destroy("LiteRtDestroyModel", model);
  Destroy("LiteRtDestroyEnvironment", environment);
}
