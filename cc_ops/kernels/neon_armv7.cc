// NEON for 32-bit ARM: 4 channels per register, and half of aarch64's registers.
//
// The functions for binary x do two pixels and half a block at a time (kernels/neon_armv7_count.h). Bound: veor, vcnt
// and vadd per 128 binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are
// widened to int32.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_armv7_count.h"
#include "kernels/neon_armv7_floats.h"
#include "kernels/neon_armv7_real.h"

namespace keras_bnn {
namespace {

constexpr int kHalf = kBlockChannels / 2;
constexpr int kRunWords = 31;  // a byte counts at most 8 per word, and 31 * 8 < 256
constexpr int kTapBytes = kMaxTilePixels * static_cast<int>(sizeof(Word*));

// Packs 32 lanes of all-ones or all-zeros. Shifted into each other, the masks leave 4 bits each in every lane; of those
// a lane keeps its own.
template <typename Mask>
Word GatherBits(const Mask& mask) {
  static const std::uint32_t kOwn[kLanes] = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
  uint32x4_t bits = mask(0);
  for (int i = kLanes; i < kWordBits; i += kLanes) bits = vsriq_n_u32(mask(i), bits, kLanes);
  bits = vandq_u32(bits, vld1q_u32(kOwn));
  const uint32x2_t pairs = vorr_u32(vget_low_u32(bits), vget_high_u32(bits));
  return vget_lane_u32(pairs, 0) | vget_lane_u32(pairs, 1);
}

struct NeonLanes {
  // As integers: x < 0 from the least subnormal to infinity, and neither -0.0 nor a NaN.
  static Word NegativeBits(const float* x) {
    return GatherBits([x](int i) {
      const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i));
      return vcleq_u32(vsubq_u32(bits, vdupq_n_u32(0x80000001u)), vdupq_n_u32(0x7f7fffffu));
    });
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    return GatherBits([a, b](int i) { return vcltq_s32(vld1q_s32(a + i), vld1q_s32(b + i)); });
  }
};

// The sums of 4 bytes each, of the counts of two vectors of channels.
uint16x8_t SumBytes(uint8x16_t low, uint8x16_t high) {
  const uint16x8_t low_pairs = vpaddlq_u8(low), high_pairs = vpaddlq_u8(high);
  return vcombine_u16(vpadd_u16(vget_low_u16(low_pairs), vget_high_u16(low_pairs)),
                      vpadd_u16(vget_low_u16(high_pairs), vget_high_u16(high_pairs)));
}

// Takes 8 vectors of channels through `all` steps; the second four go to sums + second. count(steps, &at, counts)
// counts the next ones, at most run_steps.
template <typename Count>
inline __attribute__((always_inline)) void CountRuns(CountPosition at, int all, int run_steps, std::int32_t* sums,
                                                     int second, const Count& count) {
  for (int left = all; left > 0; left -= run_steps) {
    uint8x16_t counts[kCounters];
    count(left < run_steps ? left : run_steps, &at, counts);
    for (int i = 0; i < kCounters; i += 2) {
      std::int32_t* low = sums + i * kLanes + (i < kCounters / 2 ? 0 : second - kHalf);
      std::int32_t* high = low + kLanes;
      const int16x8_t counted = vreinterpretq_s16_u16(SumBytes(counts[i], counts[i + 1]));
      if (left == all) {
        vst1q_s32(low, vmovl_s16(vget_low_s16(counted)));
        vst1q_s32(high, vmovl_s16(vget_high_s16(counted)));
      } else {
        vst1q_s32(low, vaddw_s16(vld1q_s32(low), vget_low_s16(counted)));
        vst1q_s32(high, vaddw_s16(vld1q_s32(high), vget_high_s16(counted)));
      }
    }
  }
}

template <int kStep, bool kOneStep>
void CountPairs(const BinaryTile& tile, std::int32_t* sums) {
  const int steps = tile.words / kStep;
  for (int p = 0; p + 1 < tile.pixels; p += 2) {
    for (int half = 0; half < kBlockChannels; half += kHalf) {
      CountRuns({tile.rows + p, tile.kernel + half}, tile.taps * steps, kRunWords / kStep,
                sums + p * kBlockChannels + half, kBlockChannels,
                [=](int room, CountPosition* at, uint8x16_t(&counts)[kCounters]) __attribute__((always_inline)) {
                  if constexpr (kOneStep) {
                    CountTaps<kStep>(kTapBytes, room, at, counts);
                  } else {
                    CountSteps<kStep, true>(steps, kTapBytes, room, at, counts);
                  }
                });
    }
  }
}

template <int kStep>
void CountPixel(const BinaryTile& tile, int p, std::int32_t* sums) {
  const int steps = tile.words / kStep;
  CountRuns({tile.rows + p, tile.kernel}, tile.taps * steps, kRunWords / kStep, sums + p * kBlockChannels, kHalf,
            [=](int room, CountPosition* at, uint8x16_t(&counts)[kCounters])
                __attribute__((always_inline)) { CountSteps<kStep, false>(steps, kTapBytes, room, at, counts); });
}

// The pixels of a tile, two by two, and an odd one by itself.
void CountTilePixels(const BinaryTile& tile, std::int32_t* sums) {
  const bool odd = tile.pixels % 2 != 0;
  if (tile.words % 4 == 0) {
    tile.words == 4 ? CountPairs<4, true>(tile, sums) : CountPairs<4, false>(tile, sums);
    if (odd) CountPixel<4>(tile, tile.pixels - 1, sums);
  } else if (tile.words % 2 == 0) {
    tile.words == 2 ? CountPairs<2, true>(tile, sums) : CountPairs<2, false>(tile, sums);
    if (odd) CountPixel<2>(tile, tile.pixels - 1, sums);
  } else {
    CountPairs<1, false>(tile, sums);
    if (odd) CountPixel<1>(tile, tile.pixels - 1, sums);
  }
}

template <int P>
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    std::int32_t sums[P * kBlockChannels];
    CountTilePixels(tile, sums);
    for (int p = 0; p < P; ++p) finish(p, StoredCounts<NeonLanes>{sums + p * kBlockChannels});
  }
};

float32x4_t LoadFloats(const float* x) { return vld1q_f32(x); }
float32x4_t LoadFloats(const std::int32_t* x) { return vcvtq_f32_s32(vld1q_s32(x)); }

// GCC 12 makes scalar code of vcgtq_f32, for the sake of subnormals.
uint32x4_t Greater(float32x4_t a, float32x4_t b) {
  uint32x4_t greater;
  __asm__("vcgt.f32 %q0, %q1, %q2" : "=w"(greater) : "w"(a), "w"(b));
  return greater;
}

float32x4_t ClampVector(float32x4_t x, float low, float high) {
  const float32x4_t lowest = vdupq_n_f32(low), highest = vdupq_n_f32(high);
  x = vbslq_f32(Greater(lowest, x), lowest, x);  // the maximum of -0.0 and 0.0 would not be x
  return vbslq_f32(Greater(x, highest), highest, x);
}

// y[i] = transform(load(i)) for the 4 channels from i on.
template <bool kClamps, typename Load>
inline __attribute__((always_inline)) void TransformFar(const FloatTransform& t, float* y, const Load& load) {
  const FloatTransform limits = t;  // y may not change them
  for (int i = 0; i < kBlockChannels; i += kLanes) {
    float32x4_t x = load(i);
    if constexpr (kClamps) x = ClampVector(x, limits.pre_low, limits.pre_high);
    x = vaddq_f32(vmulq_f32(x, vld1q_f32(limits.multiplier + i)), vld1q_f32(limits.bias + i));
    if constexpr (kClamps) x = ClampVector(x, limits.low, limits.high);
    vst1q_f32(y + i, x);
  }
}

bool AreFactors(const float* acc) { return AreZeroOrAtLeast(kLeastFactor, acc, kBlockChannels); }
bool AreFactors(const std::int32_t*) { return true; }

// Whether no operand and no result of the transform is subnormal, for accumulators that are factors.
bool IsFar(const FloatTransform& t) {
  return IsZeroOrAtLeast(kOne, t.pre_low) && IsZeroOrAtLeast(kOne, t.pre_high) && IsZeroOrAtLeast(kOne, t.low) &&
         IsZeroOrAtLeast(kOne, t.high) && AreZeroOrAtLeast(kLeastFactor, t.multiplier, kBlockChannels) &&
         AreZeroOrAtLeast(kLeastTerm, t.bias, kBlockChannels);
}

struct PlainLanes : NeonLanes {};

template <typename Acc>
void TransformBlockByNeon(const Acc* acc, const FloatTransform& t, float* y) {
  if (!IsFar(t) || !AreFactors(acc)) return Transforms<PlainLanes>::TransformBlock(acc, t, y);
  TransformFar<true>(t, y, [acc](int i) { return LoadFloats(acc + i); });
}

template <>
template <>
void Transforms<NeonLanes>::TransformBlock(const std::int32_t* acc, const FloatTransform& t, float* y) {
  TransformBlockByNeon(acc, t, y);
}

template <>
template <>
void Transforms<NeonLanes>::TransformBlock(const float* acc, const FloatTransform& t, float* y) {
  TransformBlockByNeon(acc, t, y);
}

// The same for all pixels of a tile, which share the look at the transform.
template <bool kClamps>
void FloatsFromCounts(const BinaryTile& tile, const FloatTransform& t, float* y, std::int64_t stride) {
  std::int32_t sums[kMaxTilePixels * kBlockChannels];
  CountTilePixels(tile, sums);
  for (int p = 0; p < tile.pixels; ++p, y += stride) {
    const std::int32_t* starts = tile.values + tile.value_rows[p];
    const std::int32_t* counts = sums + p * kBlockChannels;
    TransformFar<kClamps>(t, y, [=](int i) {
      return vcvtq_f32_s32(vsubq_s32(vld1q_s32(starts + i), vshlq_n_s32(vld1q_s32(counts + i), 1)));
    });
  }
}

void FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& t, float* y, std::int64_t stride) {
  constexpr float kHuge = __builtin_huge_valf();
  if (channels != kBlockChannels || !IsFar(t)) {
    BinaryOf<CountTile>::FloatsFromBits(tile, channels, t, y, stride);
  } else if (t.pre_low == -kHuge && t.pre_high == kHuge && t.low == -kHuge && t.high == kHuge) {
    FloatsFromCounts<false>(tile, t, y, stride);
  } else {
    FloatsFromCounts<true>(tile, t, y, stride);
  }
}

constexpr KernelSet NeonKernels() {
  KernelSet set = KernelSetOf<NeonLanes, CountTile, NeonReal>::Named("neon", 1 << 13);
  set.floats_from_bits = FloatsFromBits;
  return set;
}

}  // namespace

extern const KernelSet kNeonKernels = NeonKernels();

}  // namespace keras_bnn
