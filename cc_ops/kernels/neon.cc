// NEON for aarch64: 4 channels per register.
//
// The functions for binary x do two pixels and a whole block at a time (kernels/neon_count.h). Bound: eor, cnt and add
// per 128 binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are widened to
// int32.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_count.h"
#include "kernels/neon_real.h"
#include "kernels/sme2.h"
#include "kernels/sve2.h"

namespace keras_bnn {
namespace {

constexpr int kLanes = 4;
constexpr int kBlockVectors = kBlockChannels / kLanes;
constexpr int kRunWords = 31;     // a byte counts at most 8 per word, and 31 * 8 < 256
constexpr int kPairWords = 1023;  // twice 1023 * 32 bits fit 16 bits

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

// Sums of 4 bytes each, of the counts of two vectors of channels.
uint16x8_t SumBytes(uint8x16_t low, uint8x16_t high) { return vpaddq_u16(vpaddlq_u8(low), vpaddlq_u8(high)); }

// counts[0 .. 7] = sums
void StoreCounts(uint16x8_t sums, std::int32_t* counts) {
  vst1q_s32(counts, vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(sums))));
  vst1q_s32(counts + kLanes, vreinterpretq_s32_u32(vmovl_high_u16(sums)));
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

  void Store(std::int32_t* counts) const {
    for (int p = 0; p < kCountPixels; ++p) {
      for (int v = 0; v < kVectorPairs; ++v, counts += 2 * kLanes) StoreCounts(sums[p][v], counts);
    }
  }
};

// Two pixels of a tile, of `all` steps. run(steps, &at, counts) counts the next ones, at most run_steps.
template <typename Run>
inline __attribute__((always_inline)) void CountPair(CountPosition at, int all, int run_steps, std::int32_t* sums,
                                                     const Run& run) {
  uint8x16_t counts[kCountPixels][kBlockVectors];
  PairSums pair;
  const int first = all < run_steps ? all : run_steps;
  run(first, &at, counts);
  pair.Set(counts);
  for (int left = all - first; left > 0; left -= run_steps) {
    run(left < run_steps ? left : run_steps, &at, counts);
    pair.Add(counts);
  }
  pair.Store(sums);
}

constexpr std::int64_t kTapBytes = kMaxTilePixels * sizeof(Word*);

template <int kStep>
void CountPairs(const BinaryTile& tile, std::int32_t* sums) {
  const int steps = tile.words / kStep;
  for (int p = 0; p + 1 < tile.pixels; p += kCountPixels) {
    CountPair({tile.rows + p, tile.kernel}, tile.taps * steps, kRunWords / kStep, sums + p * kBlockChannels,
              [=](int room, CountPosition* at, uint8x16_t(&counts)[kCountPixels][kBlockVectors])
                  __attribute__((always_inline)) { CountSteps<kStep>(steps, kTapBytes, room, at, counts); });
  }
}

// The same for taps of kStep words.
template <int kStep>
void CountTapPairs(const BinaryTile& tile, std::int32_t* sums) {
  for (int p = 0; p + 1 < tile.pixels; p += kCountPixels) {
    CountPair({tile.rows + p, tile.kernel}, tile.taps, kRunWords / kStep, sums + p * kBlockChannels,
              [](int room, CountPosition* at, uint8x16_t(&counts)[kCountPixels][kBlockVectors])
                  __attribute__((always_inline)) { CountTaps<kStep, kTapBytes>(room, at, counts); });
  }
}

// GCC 12 would load each vector by an instruction of its own, just before its use.
template <typename Vector>
void KeepInRegister(Vector* x) {
  __asm__("" : "+w"(*x));
}

// The pixels of a tile, two by two: their counters and words of x fill the registers.
template <int P>
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    std::int32_t sums[P * kBlockChannels];
    Count(tile, sums);
    for (int p = 0; p < P; ++p) finish(p, StoredCounts<NeonLanes>{sums + p * kBlockChannels});
  }

  static void Count(const BinaryTile& tile, std::int32_t* sums) {
    if (tile.taps * tile.words > kPairWords) {
      for (int p = 0; p < P; ++p) CountPixel(tile, p, sums + p * kBlockChannels);
      return;
    }
    if (tile.words == 2) {
      CountTapPairs<2>(tile, sums);
    } else if (tile.words == 4) {
      CountTapPairs<4>(tile, sums);
    } else if (tile.words == 8) {
      CountTapPairs<8>(tile, sums);
    } else if (tile.words % 4 == 0) {
      CountPairs<4>(tile, sums);
    } else if (tile.words % 2 == 0) {
      CountPairs<2>(tile, sums);
    } else {
      CountPairs<1>(tile, sums);
    }
    if constexpr (P % 2 == 1) CountPixel(tile, P - 1, sums + (P - 1) * kBlockChannels);
  }

  static void CountPixel(const BinaryTile& tile, int pixel, std::int32_t* sums) {
    for (int i = 0; i < kBlockChannels; ++i) sums[i] = 0;
    const Word* kernel = tile.kernel;
    ForEachRun(tile.taps, tile.words, kRunWords, [&](int first_tap, int run_taps, int first_word, int run_words) {
      uint8x16_t counts[kBlockVectors];
      for (int v = 0; v < kBlockVectors; ++v) counts[v] = vdupq_n_u8(0);
      for (int tap = first_tap; tap < first_tap + run_taps; ++tap) {
        const Word* x = tile.rows[tap * kMaxTilePixels + pixel] + first_word;
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
      for (int v = 0; v < kBlockVectors; ++v) {
        const int32x4_t more = vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(counts[v])));
        vst1q_s32(sums + v * kLanes, vaddq_s32(vld1q_s32(sums + v * kLanes), more));
      }
    });
  }
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

void PackFloat(const float* x, int channels, Word* words) {
  for (; channels >= kWordBits; channels -= kWordBits, x += kWordBits) {
    const float32x4x4_t low = vld1q_f32_x4(x), high = vld1q_f32_x4(x + kWordBits / 2);
    *words++ = GatherBits([&](int i) {
      const int v = i / kLanes;
      return vcltzq_f32(v < 4 ? low.val[v] : high.val[v - 4]);
    });
  }
  if (channels > 0) Transforms<NeonLanes>::PackFloat(x, channels, words);
}

constexpr KernelSet NeonKernels() {
  KernelSet set = KernelSetOf<NeonLanes, CountTile, NeonReal>::Named("neon", 1 << 13);
  set.floats_from_int = FloatsFromInt;
  set.bits_from_int = BitsFromInt;
  set.pack_float = PackFloat;
  return set;
}

}  // namespace

extern const KernelSet kNeonKernels = NeonKernels();

// Sets for newer CPUs: these count bits in their own way, and are NEON else.
#if defined(KERAS_BNN_SVE2)
constexpr KernelSet Sve2Kernels() {
  KernelSet set = NeonKernels();
  set.name = "sve2";
  set.accumulate_bits = Sve2AccumulateBits;
  set.floats_from_bits = Sve2FloatsFromBits;
  set.compare_bits = Sve2CompareBits;
  return set;
}

extern const KernelSet kSve2Kernels = Sve2Kernels();
#endif

#if defined(KERAS_BNN_SME2)
constexpr KernelSet Sme2Kernels() {
  KernelSet set = NeonKernels();
  set.name = "sme2";
  set.binary_pixels = kSme2Pixels;
  set.steps_per_thread = 1 << 17;
  set.accumulate_bits = Sme2AccumulateBits;
  set.floats_from_bits = Sme2FloatsFromBits;
  set.compare_bits = Sme2CompareBits;
  return set;
}

extern const KernelSet kSme2Kernels = Sme2Kernels();
#endif

}  // namespace keras_bnn
