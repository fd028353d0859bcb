// NEON for 32-bit ARM: 4 channels per register, and half of aarch64's registers.
//
// accumulate_bits does two pixels and half a block at a time (kernels/neon_armv7_count.h). Bound: veor, vcnt and vadd
// per 128 binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are widened to
// int32.
//
// On 32-bit ARM, NEON takes subnormal floats for zero and gives zero instead of them; plain C++ becomes VFP
// instructions, which do not. So NEON computes with floats only where the operands show that neither can happen, and
// leaves the others to plain loops.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_armv7_count.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 8;  // more than the registers hold: one call and one part of the epilogue for all
constexpr int kRealPixels = 4;
constexpr int kLanes = 4;
constexpr int kBlockVectors = kBlockChannels / kLanes;
constexpr int kHalf = kBlockChannels / 2;
constexpr int kRunWords = 31;    // a byte counts at most 8 per word, and 31 * 8 < 256
constexpr int kRunValues = 128;  // 128 * 255 < 2^15

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

// acc = start - 2 * counts, for two vectors of channels.
void StoreLess(uint32x4_t start_low, uint32x4_t start_high, uint8x16_t low, uint8x16_t high, std::int32_t* acc) {
  const uint16x8_t low_pairs = vpaddlq_u8(low), high_pairs = vpaddlq_u8(high);
  const uint16x4_t low_sums = vpadd_u16(vget_low_u16(low_pairs), vget_high_u16(low_pairs));
  const uint16x4_t high_sums = vpadd_u16(vget_low_u16(high_pairs), vget_high_u16(high_pairs));
  const uint16x8_t twice = vshlq_n_u16(vcombine_u16(low_sums, high_sums), 1);
  vst1q_s32(acc, vreinterpretq_s32_u32(vsubw_u16(start_low, vget_low_u16(twice))));
  vst1q_s32(acc + kLanes, vreinterpretq_s32_u32(vsubw_u16(start_high, vget_high_u16(twice))));
}

// Takes 8 vectors of channels through `all` steps. The second four go to acc + second. count(steps, &at, counts) counts
// the next ones, at most run_steps.
template <typename Count>
inline __attribute__((always_inline)) void AccumulateCounts(CountPosition at, int all, int run_steps, std::int32_t bits,
                                                            std::int32_t* acc, int second, const Count& count) {
  for (int left = all; left > 0; left -= run_steps) {
    uint8x16_t counts[kCounters];
    count(left < run_steps ? left : run_steps, &at, counts);
    for (int i = 0; i < kCounters; i += 2) {
      std::int32_t* lanes = acc + (i < kCounters / 2 ? 0 : second - kHalf) + i * kLanes;
      uint32x4_t start_low = vdupq_n_u32(static_cast<std::uint32_t>(bits)), start_high = start_low;
      if (left != all) {
        start_low = vreinterpretq_u32_s32(vld1q_s32(lanes));
        start_high = vreinterpretq_u32_s32(vld1q_s32(lanes + kLanes));
      }
      StoreLess(start_low, start_high, counts[i], counts[i + 1], lanes);
    }
  }
}

template <int P>
struct BitsTile {
  static constexpr int kStride = P * static_cast<int>(sizeof(Word*));

  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    if constexpr (P == kTilePixels) {
      if (words == 2) return RunPairs<2, true>(rows, taps, words, kernel, bits, acc);
      if (words == 4) return RunPairs<4, true>(rows, taps, words, kernel, bits, acc);
    }
    if (words % 4 == 0) {
      RunSteps<4>(rows, taps, words, kernel, bits, acc);
    } else if (words % 2 == 0) {
      RunSteps<2>(rows, taps, words, kernel, bits, acc);
    } else {
      RunSteps<1>(rows, taps, words, kernel, bits, acc);
    }
  }

  template <int kStep>
  static void RunSteps(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                       std::int32_t* acc) {
    RunPairs<kStep, false>(rows, taps, words, kernel, bits, acc);
    if constexpr (P % 2 == 1) {
      const int steps = words / kStep;
      AccumulateCounts(
          {rows + P - 1, kernel}, taps * steps, kRunWords / kStep, bits, acc + (P - 1) * kBlockChannels, kHalf,
          [=](int room, CountPosition* at, uint8x16_t(&counts)[kCounters])
              __attribute__((always_inline)) { CountSteps<kStep, false>(steps, kStride, room, at, counts); });
    }
  }

  template <int kStep, bool kOneStep>
  static void RunPairs(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                       std::int32_t* acc) {
    const int steps = words / kStep;
    for (int p = 0; p + 1 < P; p += 2) {
      for (int half = 0; half < kBlockChannels; half += kHalf) {
        AccumulateCounts({rows + p, kernel + half}, taps * steps, kRunWords / kStep, bits,
                         acc + p * kBlockChannels + half, kBlockChannels,
                         [=](int room, CountPosition* at, uint8x16_t(&counts)[kCounters])
                             __attribute__((always_inline)) {
                               if constexpr (kOneStep) {
                                 CountTaps<kStep>(kStride, room, at, counts);
                               } else {
                                 CountSteps<kStep, true>(steps, kStride, room, at, counts);
                               }
                             });
      }
    }
  }
};

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

// The pixels of a tile that real x does at once, and where the accumulators of the others begin.
constexpr int FirstPixels(int pixels) { return pixels < kRealPixels ? pixels : kRealPixels; }
constexpr int kSecondPixels = kRealPixels * kBlockChannels;

// Lane i is -1.0 where bit `first + i` of the word is set, else 1.0.
float32x4_t PlusMinusOne(Word word, int first) {
  static const std::int32_t kShift[kLanes] = {31, 30, 29, 28};
  const int32x4_t shift = vsubq_s32(vld1q_s32(kShift), vdupq_n_s32(first));
  const uint32x4_t sign = vandq_u32(vshlq_u32(vdupq_n_u32(word), shift), vdupq_n_u32(0x80000000u));
  return vreinterpretq_f32_u32(vorrq_u32(sign, vreinterpretq_u32_f32(vdupq_n_f32(1.0f))));
}

template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    bool far_from_zero = true;
    for (int row = 0; row < taps * P; ++row) far_from_zero &= AreZeroOrAtLeast(kLeastTerm, rows[row], channels);
    if (!far_from_zero) return RunPlain(rows, taps, channels, kernel, acc);
    for (int half = 0; half < kBlockChannels; half += kHalf) {
      RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, half, acc + half);
      if constexpr (P > kRealPixels) {
        RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, half, acc + kSecondPixels + half);
      }
    }
  }

  static void RunPlain(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int i = 0; i < P * kBlockChannels; ++i) acc[i] = 0.0f;
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        for (int p = 0; p < P; ++p) {
          const float x = rows[p][c];
          float* sums = acc + p * kBlockChannels;
          for (int i = 0; i < kBlockChannels; ++i) sums[i] += (*kernel >> i & 1u) != 0 ? -x : x;
        }
      }
    }
  }

  // x * +-1 is exact, so a multiply-add rounds once, as adding or subtracting x does.
  template <int Q>
  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    constexpr int kVectors = kHalf / kLanes;
    for (int quarter = 0; quarter < kVectors; quarter += 2) {
      const Word* k = kernel;
      const float* const* tap_rows = rows;
      float32x4_t sums[Q][2];
      for (int p = 0; p < Q; ++p) sums[p][0] = sums[p][1] = vdupq_n_f32(0.0f);
      for (int tap = 0; tap < taps; ++tap, tap_rows += P) {
        for (int c = 0; c < channels; ++c, ++k) {
          const int first = half + quarter * kLanes;
          const float32x4_t sign[2] = {PlusMinusOne(*k, first), PlusMinusOne(*k, first + kLanes)};
          for (int p = 0; p < Q; ++p) {
            const float32x4_t value = vld1q_dup_f32(tap_rows[p] + c);
            for (int v = 0; v < 2; ++v) sums[p][v] = vmlaq_f32(sums[p][v], value, sign[v]);
          }
        }
      }
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < 2; ++v) vst1q_f32(acc + p * kBlockChannels + (quarter + v) * kLanes, sums[p][v]);
      }
    }
  }
};

// The sum of +-x is that of all x, less twice those whose kernel is -1. These add up in 16 bits, 8 channels per
// register.
template <typename X>
struct IntTiles {
  template <int P>
  struct Tile {
    static void Run(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                    std::int32_t* acc) {
      for (int half = 0; half < kBlockChannels; half += kHalf) {
        RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, zero_point, half, acc + half);
        if constexpr (P > kRealPixels) {
          RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, zero_point, half,
                                   acc + kSecondPixels + half);
        }
      }
    }

    template <int Q>
    static void RunHalf(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                        int half, std::int32_t* acc) {
      static const std::uint16_t kBits[kHalf] = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                                 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
      const uint16x8_t own[2] = {vld1q_u16(kBits), vld1q_u16(kBits + kHalf / 2)};
      std::int32_t all[Q] = {};
      for (int p = 0; p < Q; ++p) {
        for (int i = 0; i < kHalf; ++i) acc[p * kBlockChannels + i] = 0;
      }
      ForEachRun(taps, channels, kRunValues, [&](int first_tap, int run_taps, int first_channel, int run_channels) {
        int16x8_t sums[Q][2];
        for (int p = 0; p < Q; ++p) sums[p][0] = sums[p][1] = vdupq_n_s16(0);
        for (int tap = first_tap; tap < first_tap + run_taps; ++tap) {
          const X* const* x = rows + tap * P;
          for (int c = first_channel; c < first_channel + run_channels; ++c, ++kernel) {
            const uint16x8_t bits = vdupq_n_u16(static_cast<std::uint16_t>(*kernel >> half));
            const int16x8_t minus[2] = {vreinterpretq_s16_u16(vtstq_u16(bits, own[0])),
                                        vreinterpretq_s16_u16(vtstq_u16(bits, own[1]))};
            for (int p = 0; p < Q; ++p) {
              const std::int32_t value = x[p][c] - zero_point;
              all[p] += value;
              const int16x8_t values = vdupq_n_s16(static_cast<std::int16_t>(value));
              for (int v = 0; v < 2; ++v) sums[p][v] = vaddq_s16(sums[p][v], vandq_s16(values, minus[v]));
            }
          }
        }
        for (int p = 0; p < Q; ++p) {
          for (int v = 0; v < 2; ++v) {
            std::int32_t* lanes = acc + p * kBlockChannels + 2 * v * kLanes;
            vst1q_s32(lanes, vmlsl_n_s16(vld1q_s32(lanes), vget_low_s16(sums[p][v]), 2));
            vst1q_s32(lanes + kLanes, vmlsl_n_s16(vld1q_s32(lanes + kLanes), vget_high_s16(sums[p][v]), 2));
          }
        }
      });
      for (int p = 0; p < Q; ++p) {
        for (int i = 0; i < kHalf; ++i) acc[p * kBlockChannels + i] += all[p];
      }
    }
  };
};

float32x4_t LoadFloats(const float* x) { return vld1q_f32(x); }
float32x4_t LoadFloats(const std::int32_t* x) { return vcvtq_f32_s32(vld1q_s32(x)); }

bool AreFactors(const float* acc) { return AreZeroOrAtLeast(kLeastFactor, acc, kBlockChannels); }
bool AreFactors(const std::int32_t*) { return true; }

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

// Whether no operand and no result of the transform is subnormal.
template <typename Acc>
bool FarFromSubnormal(const Acc* acc, const FloatTransform& t) {
  return IsZeroOrAtLeast(kOne, t.pre_low) && IsZeroOrAtLeast(kOne, t.pre_high) && IsZeroOrAtLeast(kOne, t.low) &&
         IsZeroOrAtLeast(kOne, t.high) && AreZeroOrAtLeast(kLeastFactor, t.multiplier, kBlockChannels) &&
         AreZeroOrAtLeast(kLeastTerm, t.bias, kBlockChannels) && AreFactors(acc);
}

struct PlainLanes : NeonLanes {};

template <typename Acc>
void TransformBlockByNeon(const Acc* acc, const FloatTransform& t, float* y) {
  if (!FarFromSubnormal(acc, t)) return Transforms<PlainLanes>::TransformBlock(acc, t, y);
  const FloatTransform limits = t;  // y may not change them
  for (int i = 0; i < kBlockChannels; i += kLanes) {
    const float32x4_t x = ClampVector(LoadFloats(acc + i), limits.pre_low, limits.pre_high);
    const float32x4_t product = vmulq_f32(x, vld1q_f32(limits.multiplier + i));
    const float32x4_t sum = vaddq_f32(product, vld1q_f32(limits.bias + i));
    vst1q_f32(y + i, ClampVector(sum, limits.low, limits.high));
  }
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

}  // namespace

extern const KernelSet kNeonKernels =
    KernelSetOf<NeonLanes, kTilePixels, BitsTile, FloatTile, IntTiles>::Named("neon", 1 << 13);

}  // namespace keras_bnn
