// The kernel set that a user asks for.
#ifndef KERAS_BNN_TFLITE_WANTED_KERNEL_SET_H_
#define KERAS_BNN_TFLITE_WANTED_KERNEL_SET_H_

#include "kernels/kernel_set.h"

namespace keras_bnn {

// The kernel set of this name or, without one, the one that the environment variable KERAS_BNN_ISA asks for; else the
// best one. Refuses a name of none that runs here.
const KernelSet& WantedKernelSet(const char* isa);

}  // namespace keras_bnn

#endif  // KERAS_BNN_TFLITE_WANTED_KERNEL_SET_H_
