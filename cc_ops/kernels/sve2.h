// What the kernel set "sve2" does with scalable vectors; the rest of it is NEON's (kernels/neon.cc).
#ifndef KERAS_BNN_KERNELS_SVE2_H_
#define KERAS_BNN_KERNELS_SVE2_H_

#include <cstdint>

#include "kernels/kernel_set.h"

namespace keras_bnn {

void Sve2AccumulateBits(const BinaryTile& tile, std::int32_t* acc);
void Sve2FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& transform, float* y,
                        std::int64_t stride);
void Sve2CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride);

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_SVE2_H_
