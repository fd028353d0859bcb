/* The public header in a C program: compiled only. */
#include "keras_bnn/keras_bnn.h"

struct TfLiteDelegate* MakeAndDestroy(void);

struct TfLiteDelegate* MakeAndDestroy(void) {
  struct TfLiteDelegate* delegate = tflite_plugin_create_delegate(0, 0, 0, 0);
  tflite_plugin_destroy_delegate(delegate);
  return KerasBnnVersion() != 0 && KerasBnnKernelSetCount() > 0 ? delegate : 0;
}
