// What NEON's float arithmetic needs on 32-bit ARM to give the bits of the file format. There it takes subnormal
// numbers for zero, gives zero instead of them, and makes all NaNs alike; plain C++ becomes VFP instructions, which do
// not. So NEON computes with floats only where the operands show that none of this can happen.
#ifndef KERAS_BNN_KERNELS_NEON_ARMV7_FLOATS_H_
#define KERAS_BNN_KERNELS_NEON_ARMV7_FLOATS_H_

#include <arm_neon.h>

#include <cstdint>

namespace keras_bnn {
namespace {

constexpr int kLanes = 4;

// A float's bits without the sign, doubled: they order floats by magnitude.
constexpr std::uint32_t kInfinity = 0xff000000u;
constexpr std::uint32_t kLeastTerm = 0x19000000u;    // 2^-102: multiples of 2^-125, and so are sums of such terms
constexpr std::uint32_t kLeastFactor = 0x4c000000u;  // 2^-51: products of two are terms
constexpr std::uint32_t kOne = 0x7f000000u;

bool IsZeroOrAtLeast(std::uint32_t least, float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  bits <<= 1;
  return bits == 0 || (bits >= least && bits <= kInfinity);
}

// Whether all values are 0 or of at least this magnitude, infinity included; no NaN, whose bits NEON does not keep.
bool AreZeroOrAtLeast(std::uint32_t least, const float* values, int count) {
  uint32x4_t smallest = vdupq_n_u32(~0u), largest = vdupq_n_u32(0);
  for (; count >= kLanes; count -= kLanes, values += kLanes) {
    const uint32x4_t bits = vshlq_n_u32(vreinterpretq_u32_f32(vld1q_f32(values)), 1);
    smallest = vminq_u32(smallest, vsubq_u32(bits, vdupq_n_u32(1)));  // 0 becomes the largest number
    largest = vmaxq_u32(largest, bits);
  }
  bool all = true;
  for (int i = 0; i < count; ++i) all &= IsZeroOrAtLeast(least, values[i]);
  const uint32x4_t good =
      vandq_u32(vcgeq_u32(smallest, vdupq_n_u32(least - 1)), vcleq_u32(largest, vdupq_n_u32(kInfinity)));
  const uint32x2_t both = vand_u32(vget_low_u32(good), vget_high_u32(good));
  return all && (vget_lane_u32(both, 0) & vget_lane_u32(both, 1)) != 0;
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_ARMV7_FLOATS_H_
