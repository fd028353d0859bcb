// NEON for aarch64: 4 channels per register.
//
// accumulate_bits does two pixels and a whole block at a time (kernels/neon_count.h). Bound: eor, cnt and add per 128
// binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are widened to int32.
// The sums of real x fill the registers with 4 pixels and half a block of 16 channels.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_count.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 8;  // more than the registers hold: one call and one part of the epilogue for all
constexpr int kRealPixels = 4;
constexpr int kLanes = 4;
constexpr int kVectors = 4;  // of a half block
constexpr int kHalf = kVectors * kLanes;
constexpr int kBlockVectors = kBlockChannels / kLanes;
constexpr int kRunWords = 31;  // a byte counts at most 8 per word, and 31 * 8 < 256

// Packs 32 lanes of all-ones or all-zeros. Shifted into each other, the masks leave 4 bits each in every lane; of those
// a lane keeps its own, and the bits of a word add up without a carry.
template <typename Mask>
Word GatherBits(const Mask& mask) {
  static const std::uint32_t kOwn[kLanes] = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
  uint32x4_t bits = mask(0);
  for (int i = kLanes; i < kWordBits; i += kLanes) bits = vsriq_n_u32(mask(i), bits, kLanes);
  return vaddvq_u32(vandq_u32(bits, vld1q_u32(kOwn)));
}

struct NeonLanes {
  static Word NegativeBits(const float* x) {
    return GatherBits([x](int i) { return vcltzq_f32(vld1q_f32(x + i)); });
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    return GatherBits([a, b](int i) { return vcltq_s32(vld1q_s32(a + i), vld1q_s32(b + i)); });
  }
};

// The sums of the counts of two vectors of channels.
uint16x8_t SumBytes(uint8x16_t low, uint8x16_t high) { return vpaddq_u16(vpaddlq_u8(low), vpaddlq_u8(high)); }

// acc = bits - 2 * counts
template <int P>
void TakeFrom(std::int32_t bits, const uint8x16_t (&counts)[P][kBlockVectors], std::int32_t* acc) {
  const uint32x4_t start = vdupq_n_u32(static_cast<std::uint32_t>(bits));
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < kBlockVectors; v += 2) {
      std::int32_t* lane = acc + p * kBlockChannels + v * kLanes;
      const uint16x8_t twice = vshlq_n_u16(SumBytes(counts[p][v], counts[p][v + 1]), 1);
      vst1q_s32(lane, vreinterpretq_s32_u32(vsubw_u16(start, vget_low_u16(twice))));
      vst1q_s32(lane + kLanes, vreinterpretq_s32_u32(vsubw_high_u16(start, twice)));
    }
  }
}

// acc -= 2 * counts
template <int P>
void TakeOff(const uint8x16_t (&counts)[P][kBlockVectors], std::int32_t* acc) {
  const uint16x8_t two = vdupq_n_u16(2);
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < kBlockVectors; v += 2) {
      std::int32_t* lane = acc + p * kBlockChannels + v * kLanes;
      const uint16x8_t sums = SumBytes(counts[p][v], counts[p][v + 1]);
      const uint32x4_t low = vreinterpretq_u32_s32(vld1q_s32(lane));
      const uint32x4_t high = vreinterpretq_u32_s32(vld1q_s32(lane + kLanes));
      vst1q_s32(lane, vreinterpretq_s32_u32(vmlsl_u16(low, vget_low_u16(sums), vget_low_u16(two))));
      vst1q_s32(lane + kLanes, vreinterpretq_s32_u32(vmlsl_high_u16(high, sums, two)));
    }
  }
}

// The pixels of a tile, two by two: their counters and words of x fill the registers.
template <int P>
struct BitsTile {
  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    if (words == 4) {
      RunPairs<4, true>(rows, taps, 1, kernel, bits, acc);
    } else if (words == 2) {
      RunPairs<2, true>(rows, taps, 1, kernel, bits, acc);
    } else if (words % 4 == 0) {
      RunPairs<4, false>(rows, taps, words / 4, kernel, bits, acc);
    } else if (words % 2 == 0) {
      RunPairs<2, false>(rows, taps, words / 2, kernel, bits, acc);
    } else {
      RunPairs<1, false>(rows, taps, words, kernel, bits, acc);
    }
    if constexpr (P % 2 == 1) RunLast(rows + P - 1, taps, words, kernel, bits, acc + (P - 1) * kBlockChannels);
  }

  template <int kStep, bool kOneStep>
  static void RunPairs(const Word* const* rows, int taps, int steps, const Word* kernel, std::int32_t bits,
                       std::int32_t* acc) {
    constexpr int kRunSteps = kRunWords / kStep;
    const int all = taps * steps;
    for (int p = 0; p + 1 < P; p += kCountPixels, acc += kCountPixels * kBlockChannels) {
      CountPosition at = {rows + p, kernel};
      uint8x16_t counts[kCountPixels][kBlockVectors];
      int left = all > kRunSteps ? all - kRunSteps : 0;
      CountRun<kStep, kOneStep, P>(steps, all - left, &at, counts);
      TakeFrom(bits, counts, acc);
      while (left > 0) {
        const int run = left < kRunSteps ? left : kRunSteps;
        CountRun<kStep, kOneStep, P>(steps, run, &at, counts);
        TakeOff(counts, acc);
        left -= run;
      }
    }
  }

  static void RunLast(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                      std::int32_t* acc) {
    for (int v = 0; v < kBlockVectors; ++v) vst1q_s32(acc + v * kLanes, vdupq_n_s32(bits));
    ForEachRun(taps, words, kRunWords, [&](int first_tap, int run_taps, int first_word, int run_words) {
      uint8x16_t counts[1][kBlockVectors];
      for (int v = 0; v < kBlockVectors; ++v) counts[0][v] = vdupq_n_u8(0);
      for (int tap = first_tap; tap < first_tap + run_taps; ++tap) {
        const Word* x = rows[tap * P] + first_word;
        for (int w = 0; w < run_words; ++w, kernel += kBlockChannels) {
          const uint32x4_t word = vld1q_dup_u32(x + w);
          for (int v = 0; v < kBlockVectors; ++v) {
            const uint32x4_t differ = veorq_u32(word, vld1q_u32(kernel + v * kLanes));
            counts[0][v] = vaddq_u8(counts[0][v], vcntq_u8(vreinterpretq_u8_u32(differ)));
          }
        }
      }
      TakeOff(counts, acc);
    });
  }
};

// Lane i of the result has bit `first + i` of the word as its sign bit; the lower bits are not defined.
int32x4_t SignBits(Word word, int first) {
  static const std::int32_t kShift[kLanes] = {31, 30, 29, 28};
  const int32x4_t shift = vsubq_s32(vld1q_s32(kShift), vdupq_n_s32(first));
  return vshlq_s32(vdupq_n_s32(static_cast<std::int32_t>(word)), shift);
}

// Lane i is -1.0 where bit `first + i` of the word is set, else 1.0.
float32x4_t PlusMinusOne(Word word, int first) {
  const uint32x4_t sign_bit = vdupq_n_u32(0x80000000u);
  return vbslq_f32(sign_bit, vreinterpretq_f32_s32(SignBits(word, first)), vdupq_n_f32(1.0f));
}

// The pixels of a tile that real x does at once, and where the accumulators of the others begin.
constexpr int FirstPixels(int pixels) { return pixels < kRealPixels ? pixels : kRealPixels; }
constexpr int kSecondPixels = kRealPixels * kBlockChannels;

// x * +-1 is exact, so the fused multiply-add rounds once, as adding or subtracting x does.
template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kHalf) {
      RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, half, acc + half);
      if constexpr (P > kRealPixels) {
        RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, half, acc + kSecondPixels + half);
      }
    }
  }

  template <int Q>
  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    float32x4_t sums[Q][kVectors];
    for (int p = 0; p < Q; ++p) {
      for (int v = 0; v < kVectors; ++v) sums[p][v] = vdupq_n_f32(0.0f);
    }
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        float32x4_t k[kVectors];
        for (int v = 0; v < kVectors; ++v) k[v] = PlusMinusOne(*kernel, half + v * kLanes);
        for (int p = 0; p < Q; ++p) {
          const float32x4_t value = vld1q_dup_f32(rows[p] + c);
          for (int v = 0; v < kVectors; ++v) sums[p][v] = vfmaq_f32(sums[p][v], value, k[v]);
        }
      }
    }
    for (int p = 0; p < Q; ++p) {
      for (int v = 0; v < kVectors; ++v) vst1q_f32(acc + p * kBlockChannels + v * kLanes, sums[p][v]);
    }
  }
};

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
      int32x4_t sums[Q][kVectors];
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < kVectors; ++v) sums[p][v] = vdupq_n_s32(0);
      }
      for (int tap = 0; tap < taps; ++tap, rows += P) {
        for (int c = 0; c < channels; ++c, ++kernel) {
          int32x4_t minus[kVectors];  // -1 where the kernel is -1, else 0
          for (int v = 0; v < kVectors; ++v) minus[v] = vshrq_n_s32(SignBits(*kernel, half + v * kLanes), 31);
          for (int p = 0; p < Q; ++p) {
            const int32x4_t value = vdupq_n_s32(rows[p][c] - zero_point);
            for (int v = 0; v < kVectors; ++v) {
              sums[p][v] = vaddq_s32(sums[p][v], vsubq_s32(veorq_s32(value, minus[v]), minus[v]));
            }
          }
        }
      }
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < kVectors; ++v) vst1q_s32(acc + p * kBlockChannels + v * kLanes, sums[p][v]);
      }
    }
  };
};

float32x4_t ClampVector(float32x4_t x, float low, float high) {
  const float32x4_t lowest = vdupq_n_f32(low), highest = vdupq_n_f32(high);
  x = vbslq_f32(vcltq_f32(x, lowest), lowest, x);  // the maximum of -0.0 and 0.0 would not be x
  return vbslq_f32(vcgtq_f32(x, highest), highest, x);
}

// floats_from_int of a whole block, with its multipliers and biases in registers for all pixels.
template <bool kClamps>
void FloatsOfBlock(const std::int32_t* acc, int pixels, const FloatTransform& t, float* y, std::int64_t stride) {
  const FloatTransform limits = t;  // y may not change them
  float32x4_t multiplier[kBlockVectors], bias[kBlockVectors];
  for (int v = 0; v < kBlockVectors; ++v) multiplier[v] = vld1q_f32(t.multiplier + v * kLanes);
  for (int v = 0; v < kBlockVectors; ++v) bias[v] = vld1q_f32(t.bias + v * kLanes);
  for (int p = 0; p < pixels; ++p, acc += kBlockChannels, y += stride) {
    for (int v = 0; v < kBlockVectors; v += 2) {  // by two, for the instructions that load and store pairs
      float32x4_t value[2];
      for (int i = 0; i < 2; ++i) value[i] = vcvtq_f32_s32(vld1q_s32(acc + (v + i) * kLanes));
      for (int i = 0; i < 2; ++i) {
        if constexpr (kClamps) value[i] = ClampVector(value[i], limits.pre_low, limits.pre_high);
        value[i] = vaddq_f32(vmulq_f32(value[i], multiplier[v + i]), bias[v + i]);
        if constexpr (kClamps) value[i] = ClampVector(value[i], limits.low, limits.high);
      }
      for (int i = 0; i < 2; ++i) vst1q_f32(y + (v + i) * kLanes, value[i]);
    }
  }
}

void FloatsFromInt(const std::int32_t* acc, int pixels, int channels, const FloatTransform& t, float* y,
                   std::int64_t stride) {
  constexpr float kInfinity = __builtin_huge_valf();
  if (channels != kBlockChannels) {
    Transforms<NeonLanes>::Floats(acc, pixels, channels, t, y, stride);
  } else if (t.pre_low == -kInfinity && t.pre_high == kInfinity && t.low == -kInfinity && t.high == kInfinity) {
    FloatsOfBlock<false>(acc, pixels, t, y, stride);
  } else {
    FloatsOfBlock<true>(acc, pixels, t, y, stride);
  }
}

constexpr KernelSet NeonKernels() {
  KernelSet set = KernelSetOf<NeonLanes, kTilePixels, BitsTile, FloatTile, IntTiles>::Named("neon", 1 << 13);
  set.floats_from_int = FloatsFromInt;
  return set;
}

}  // namespace

extern const KernelSet kNeonKernels = NeonKernels();

}  // namespace keras_bnn
