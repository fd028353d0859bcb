/* The public header in a C program: compiled only. */
#include "keras_bnn/keras_bnn.h"

struct TfLiteDelegate* MakeAndDestroy(void);
int UseWithoutADelegate(struct LiteRtEnvironmentT* environment, void* (*find)(const char* name));

struct TfLiteDelegate* MakeAndDestroy(void) {
  struct TfLiteDelegate* delegate = tflite_plugin_create_delegate(0, 0, 0, 0);
  tflite_plugin_destroy_delegate(delegate);
  return KerasBnnVersion() != 0 && KerasBnnKernelSetCount() > 0 ? delegate : 0;
}

int UseWithoutADelegate(struct LiteRtEnvironmentT* environment, void* (*find)(const char* name)) {
  const struct TfLiteRegistration* registration = KerasBnnOpRegistration(KerasBnnOpCount() - 1);
  return registration != 0 && KerasBnnOpName(0) != 0 && KerasBnnRegisterAccelerator(environment, find, 0);
}
