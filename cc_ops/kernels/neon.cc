// NEON for aarch64: 4 channels per register.
//
// accumulate_bits does two pixels and a whole block at a time (kernels/neon_count.h). Bound: eor, cnt and add per 128
// binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are widened to int32.
// The sums of real x fill the registers with 4 pixels and half a block of 16 channels.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_count.h"
#include "kernels/neon_pack.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 8;  // more than the registers hold: one call and one part of the epilogue for all
constexpr int kRealPixels = 4;
constexpr int kVectors = 4;  // of a half block
constexpr int kHalf = kVectors * kLanes;
constexpr int kBlockVectors = kBlockChannels / kLanes;
constexpr int kRunWords = 31;     // a byte counts at most 8 per word, and 31 * 8 < 256
constexpr int kPairWords = 1023;  // twice 1023 * 32 bits fit 16 bits

// Sums of 4 bytes each, of the counts of two vectors of channels.
uint16x8_t SumBytes(uint8x16_t low, uint8x16_t high) { return vpaddq_u16(vpaddlq_u8(low), vpaddlq_u8(high)); }

// acc[0 .. 7] = start - 2 * sums
void StoreLess(int32x4_t start_low, int32x4_t start_high, uint16x8_t sums, std::int32_t* acc) {
  const uint16x8_t twice = vshlq_n_u16(sums, 1);
  const uint32x4_t low = vsubw_u16(vreinterpretq_u32_s32(start_low), vget_low_u16(twice));
  const uint32x4_t high = vsubw_high_u16(vreinterpretq_u32_s32(start_high), twice);
  vst1q_s32(acc, vreinterpretq_s32_u32(low));
  vst1q_s32(acc + kLanes, vreinterpretq_s32_u32(high));
}

// The counts of two pixels and a block, of at most kPairWords words: the bytes of runs add up in 16 bits.
struct PairSums {
  static constexpr int kVectorPairs = kBlockVectors / 2;

  uint16x8_t sums[kCountPixels][kVectorPairs];

  void Set(const uint8x16_t (&counts)[kCountPixels][kBlockVectors]) {
    for (int p = 0; p < kCountPixels; ++p) {
      for (int v = 0; v < kVectorPairs; ++v) sums[p][v] = SumBytes(counts[p][2 * v], counts[p][2 * v + 1]);
    }
  }

  void Add(const uint8x16_t (&counts)[kCountPixels][kBlockVectors]) {
    for (int p = 0; p < kCountPixels; ++p) {
      for (int v = 0; v < kVectorPairs; ++v) {
        sums[p][v] = vaddq_u16(sums[p][v], SumBytes(counts[p][2 * v], counts[p][2 * v + 1]));
      }
    }
  }

  // acc = bits - 2 * counts
  void TakeFrom(std::int32_t bits, std::int32_t* acc) const {
    const int32x4_t start = vdupq_n_s32(bits);
    for (int p = 0; p < kCountPixels; ++p) {
      for (int v = 0; v < kVectorPairs; ++v, acc += 2 * kLanes) StoreLess(start, start, sums[p][v], acc);
    }
  }
};

// Two pixels of a tile, of `all` steps. run(steps, &at, counts) counts the next ones, at most run_steps.
template <typename Run>
inline __attribute__((always_inline)) void AccumulatePair(CountPosition at, int all, int run_steps, std::int32_t bits,
                                                          std::int32_t* acc, const Run& run) {
  uint8x16_t counts[kCountPixels][kBlockVectors];
  PairSums sums;
  const int first = all < run_steps ? all : run_steps;
  run(first, &at, counts);
  sums.Set(counts);
  for (int left = all - first; left > 0; left -= run_steps) {
    run(left < run_steps ? left : run_steps, &at, counts);
    sums.Add(counts);
  }
  sums.TakeFrom(bits, acc);
}

template <int kStep>
void AccumulatePairs(const Word* const* rows, int pixels, int taps, int words, const Word* kernel, std::int32_t bits,
                     std::int32_t* acc) {
  const int steps = words / kStep;
  const std::int64_t stride = pixels * static_cast<std::int64_t>(sizeof(Word*));
  for (int p = 0; p + 1 < pixels; p += kCountPixels) {
    AccumulatePair({rows + p, kernel}, taps * steps, kRunWords / kStep, bits, acc + p * kBlockChannels,
                   [=](int room, CountPosition* at, uint8x16_t(&counts)[kCountPixels][kBlockVectors])
                       __attribute__((always_inline)) { CountSteps<kStep>(steps, stride, room, at, counts); });
  }
}

// The same for a whole tile of taps of kStep words.
template <int kStep>
void AccumulateTaps(const Word* const* rows, int taps, const Word* kernel, std::int32_t bits, std::int32_t* acc) {
  for (int p = 0; p < kTilePixels; p += kCountPixels) {
    AccumulatePair(
        {rows + p, kernel}, taps, kRunWords / kStep, bits, acc + p * kBlockChannels,
        [](int room, CountPosition* at, uint8x16_t(&counts)[kCountPixels][kBlockVectors])
            __attribute__((always_inline)) { CountTaps<kStep, kTilePixels * sizeof(Word*)>(room, at, counts); });
  }
}

// GCC 12 would load each vector by an instruction of its own, just before its use.
template <typename Vector>
void KeepInRegister(Vector* x) {
  __asm__("" : "+w"(*x));
}

// The pixels of a tile, two by two: their counters and words of x fill the registers.
template <int P>
struct BitsTile {
  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    if (taps * words > kPairWords) {
      for (int p = 0; p < P; ++p) RunPixel(rows + p, taps, words, kernel, bits, acc + p * kBlockChannels);
      return;
    }
    if (P == kTilePixels && words == 2) return AccumulateTaps<2>(rows, taps, kernel, bits, acc);
    if (P == kTilePixels && words == 4) return AccumulateTaps<4>(rows, taps, kernel, bits, acc);
    if (P == kTilePixels && words == 8) return AccumulateTaps<8>(rows, taps, kernel, bits, acc);
    if (words % 4 == 0) {
      AccumulatePairs<4>(rows, P, taps, words, kernel, bits, acc);
    } else if (words % 2 == 0) {
      AccumulatePairs<2>(rows, P, taps, words, kernel, bits, acc);
    } else {
      AccumulatePairs<1>(rows, P, taps, words, kernel, bits, acc);
    }
    if constexpr (P % 2 == 1) RunPixel(rows + P - 1, taps, words, kernel, bits, acc + (P - 1) * kBlockChannels);
  }

  static void RunPixel(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                       std::int32_t* acc) {
    for (int v = 0; v < kBlockVectors; ++v) vst1q_s32(acc + v * kLanes, vdupq_n_s32(bits));
    ForEachRun(taps, words, kRunWords, [&](int first_tap, int run_taps, int first_word, int run_words) {
      uint8x16_t counts[kBlockVectors];
      for (int v = 0; v < kBlockVectors; ++v) counts[v] = vdupq_n_u8(0);
      for (int tap = first_tap; tap < first_tap + run_taps; ++tap) {
        const Word* x = rows[tap * P] + first_word;
        for (int w = 0; w < run_words; ++w, kernel += kBlockChannels) {
          const uint32x4_t word = vld1q_dup_u32(x + w);
          uint32x4_t k[kBlockVectors];
          for (int v = 0; v < kBlockVectors; ++v) k[v] = vld1q_u32(kernel + v * kLanes);
          for (int v = 0; v < kBlockVectors; ++v) KeepInRegister(&k[v]);
          for (int v = 0; v < kBlockVectors; ++v) {
            const uint32x4_t differ = veorq_u32(word, k[v]);
            counts[v] = vaddq_u8(counts[v], vcntq_u8(vreinterpretq_u8_u32(differ)));
          }
        }
      }
      for (int v = 0; v < kBlockVectors; v += 2) {
        std::int32_t* lane = acc + v * kLanes;
        StoreLess(vld1q_s32(lane), vld1q_s32(lane + kLanes), SumBytes(counts[v], counts[v + 1]), lane);
      }
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

// Thresholds stay in registers for all pixels.
void BitsFromInt(const std::int32_t* acc, int pixels, const std::int32_t* thresholds, Word* words,
                 std::int64_t stride) {
  int32x4_t threshold[kBlockVectors];
  for (int v = 0; v < kBlockVectors; ++v) threshold[v] = vld1q_s32(thresholds + v * kLanes);
  for (int p = 0; p < pixels; ++p, acc += kBlockChannels, words += stride) {
    int32x4_t sums[kBlockVectors];
    for (int v = 0; v < kBlockVectors; ++v) sums[v] = vld1q_s32(acc + v * kLanes);
    *words = GatherBits([&](int i) { return vcltq_s32(sums[i / kLanes], threshold[i / kLanes]); });
  }
}

constexpr KernelSet NeonKernels() {
  KernelSet set = KernelSetOf<NeonLanes, kTilePixels, BitsTile, FloatTile, IntTiles>::Named("neon", 1 << 13);
  set.floats_from_int = FloatsFromInt;
  set.bits_from_int = BitsFromInt;
  set.pack_float = PackFloat;
  set.pack_int8 = PackInt8;
  set.pack_scaled = PackScaled;
  return set;
}

}  // namespace

extern const KernelSet kNeonKernels = NeonKernels();

}  // namespace keras_bnn
