// What a kernel set can do at most: the yardstick for the speed of a layer.
#ifndef KERAS_BNN_KERNELS_PEAK_H_
#define KERAS_BNN_KERNELS_PEAK_H_

#include "kernels/kernel_set.h"

namespace keras_bnn {

enum class PeakInput { kBits, kFloat32, kInt8 };

// Multiply-accumulates per second of the sums alone, by so many threads at once, each on one tile that its first cache
// holds. Takes some tens of milliseconds.
double MeasurePeak(const KernelSet& kernels, PeakInput input, int threads);

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_PEAK_H_
