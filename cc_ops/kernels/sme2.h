// What the kernel set "sme2" does with the matrix unit; the rest of it is NEON's (kernels/neon.cc).
#ifndef KERAS_BNN_KERNELS_SME2_H_
#define KERAS_BNN_KERNELS_SME2_H_

#include <cstdint>

#include "kernels/kernel_set.h"

namespace keras_bnn {

// Each call switches to streaming mode and back, so that a call should do much.
constexpr int kSme2Pixels = kMaxBinaryPixels;

void Sme2AccumulateBits(const BinaryTile& tile, std::int32_t* acc);
void Sme2FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& transform, float* y,
                        std::int64_t stride);
void Sme2CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride);

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_SME2_H_
