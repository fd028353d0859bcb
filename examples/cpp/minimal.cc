// Runs a packed .tflite file through TensorFlow Lite's C API.
//
// The runtime is loaded while the program runs, so that this compiles without TensorFlow. A program that has TensorFlow
// Lite's headers includes tensorflow/lite/c/c_api.h, links the runtime, and calls the same functions directly.
#include <keras_bnn/keras_bnn.h>

#include "program.h"

namespace {

constexpr char kUsage[] =
    "usage: minimal MODEL.tflite [options]\n"
    "  --runtime LIBRARY  a library with TensorFlow Lite's C API, such as libtensorflowlite_c.so\n"
    "  --input FILE       values as the model's input has them, raw; several inputs one after the other\n"
    "  --threads N        1 by default\n"
    "  --custom-ops       registers the packed ops with the interpreter instead of a delegate\n";

// From tensorflow/lite/c/c_api.h and c_api_experimental.h.
struct TfLiteModel;
struct TfLiteInterpreter;
struct TfLiteInterpreterOptions;
struct TfLiteTensor;

struct Runtime {
  explicit Runtime(void* library) {
    Load(library, "TfLiteModelCreateFromFile", &create_model);
    Load(library, "TfLiteModelDelete", &delete_model);
    Load(library, "TfLiteInterpreterOptionsCreate", &create_options);
    Load(library, "TfLiteInterpreterOptionsDelete", &delete_options);
    Load(library, "TfLiteInterpreterOptionsSetNumThreads", &set_threads);
    Load(library, "TfLiteInterpreterOptionsSetErrorReporter", &set_error_reporter);
    Load(library, "TfLiteInterpreterOptionsAddDelegate", &add_delegate);
    Load(library, "TfLiteInterpreterOptionsAddCustomOp", &add_custom_op);
    Load(library, "TfLiteInterpreterCreate", &create_interpreter);
    Load(library, "TfLiteInterpreterDelete", &delete_interpreter);
    Load(library, "TfLiteInterpreterAllocateTensors", &allocate);
    Load(library, "TfLiteInterpreterInvoke", &invoke);
    Load(library, "TfLiteInterpreterGetInputTensor", &input);
    Load(library, "TfLiteInterpreterGetOutputTensorCount", &output_count);
    Load(library, "TfLiteInterpreterGetOutputTensor", &output);
    Load(library, "TfLiteTensorCopyFromBuffer", &write);
    Load(library, "TfLiteTensorData", &data);
    Load(library, "TfLiteTensorByteSize", &bytes);
    Load(library, "TfLiteTensorType", &type);
  }

  TfLiteModel* (*create_model)(const char* path);
  void (*delete_model)(TfLiteModel*);
  TfLiteInterpreterOptions* (*create_options)();
  void (*delete_options)(TfLiteInterpreterOptions*);
  void (*set_threads)(TfLiteInterpreterOptions*, std::int32_t threads);
  void (*set_error_reporter)(TfLiteInterpreterOptions*, void (*report)(void*, const char*, va_list), void* user_data);
  void (*add_delegate)(TfLiteInterpreterOptions*, TfLiteDelegate*);
  void (*add_custom_op)(TfLiteInterpreterOptions*, const char* name, const TfLiteRegistration*,
                        std::int32_t min_version, std::int32_t max_version);
  TfLiteInterpreter* (*create_interpreter)(const TfLiteModel*, const TfLiteInterpreterOptions*);
  void (*delete_interpreter)(TfLiteInterpreter*);
  int (*allocate)(TfLiteInterpreter*);
  int (*invoke)(TfLiteInterpreter*);
  TfLiteTensor* (*input)(const TfLiteInterpreter*, std::int32_t index);
  std::int32_t (*output_count)(const TfLiteInterpreter*);
  const TfLiteTensor* (*output)(const TfLiteInterpreter*, std::int32_t index);
  int (*write)(TfLiteTensor*, const void* values, std::size_t bytes);
  void* (*data)(const TfLiteTensor*);
  std::size_t (*bytes)(const TfLiteTensor*);
  int (*type)(const TfLiteTensor*);
};

// The runtime's messages, and through it those of libkeras_bnn.
void Report(void*, const char* format, va_list arguments) {
  std::vfprintf(stderr, format, arguments);
  std::fprintf(stderr, "\n");
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = ReadArguments(argc, argv, kUsage);
  const Runtime lite(OpenLibrary(arguments.runtime, {"libtensorflowlite_c.so", "libtensorflowlite_jni.so"}));

  TfLiteModel* model = lite.create_model(arguments.model.c_str());
  if (model == nullptr) Fail("%s is no .tflite file that the runtime reads", arguments.model.c_str());
  TfLiteInterpreterOptions* options = lite.create_options();
  lite.set_error_reporter(options, Report, nullptr);
  lite.set_threads(options, arguments.threads);

  TfLiteDelegate* delegate = nullptr;
  if (arguments.custom_ops) {
    for (int i = 0; i < KerasBnnOpCount(); ++i) {
      lite.add_custom_op(options, KerasBnnOpName(i), KerasBnnOpRegistration(i), 1, 1);
    }
  } else {
    delegate = tflite_plugin_create_delegate(nullptr, nullptr, 0, [](const char* text) { Fail("%s", text); });
    lite.add_delegate(options, delegate);
  }

  TfLiteInterpreter* interpreter = lite.create_interpreter(model, options);
  if (interpreter == nullptr || lite.allocate(interpreter) != 0) Fail("the runtime cannot run this model");

  TfLiteTensor* input = lite.input(interpreter, 0);
  const std::size_t bytes = lite.bytes(input);
  const std::vector<char> inputs = ReadInputs(arguments, bytes);
  for (std::size_t offset = 0; offset < inputs.size(); offset += bytes) {
    lite.write(input, inputs.data() + offset, bytes);
    if (lite.invoke(interpreter) != 0) Fail("the inference failed");
    for (int i = 0; i < lite.output_count(interpreter); ++i) {
      const TfLiteTensor* output = lite.output(interpreter, i);
      PrintValues(lite.type(output), lite.data(output), lite.bytes(output));
    }
  }
  const double time = MedianMicroseconds(200, [&] { lite.invoke(interpreter); });
  std::fprintf(stderr, "%.1f us an inference (median), kernels %s of libkeras_bnn %s\n", time,
               KerasBnnChosenKernelSet(), KerasBnnVersion());

  lite.delete_interpreter(interpreter);
  if (delegate != nullptr) tflite_plugin_destroy_delegate(delegate);
  lite.delete_options(options);
  lite.delete_model(model);
}
