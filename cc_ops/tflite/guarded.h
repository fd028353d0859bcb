// No exception leaves the library: what is thrown becomes a report to the runtime.
#ifndef KERAS_BNN_TFLITE_GUARDED_H_
#define KERAS_BNN_TFLITE_GUARDED_H_

#include <exception>
#include <new>

#include "tflite/abi.h"

namespace keras_bnn {

// Calls function() and turns what it throws into a reported error. The line ends here because Python's interpreter
// joins the reports of a failure to one text.
template <typename Function>
TfLiteStatus Guarded(TfLiteContext* context, const Function& function) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    context->ReportError(context, "keras-bnn: out of memory\n");
  } catch (const std::exception& error) {
    context->ReportError(context, "keras-bnn: %s\n", error.what());
  } catch (...) {
    context->ReportError(context, "keras-bnn: unknown failure\n");
  }
  return kTfLiteError;
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_GUARDED_H_
