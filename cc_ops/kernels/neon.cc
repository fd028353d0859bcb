// NEON for aarch64: 4 channels per register.
//
// The functions for binary x do two pixels and a whole block at a time (kernels/neon_count.h). Bound: eor, cnt and add
// per 128 binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are widened to
// 16 bits, in which the outputs are made from them: thresholds are compared with them as they are.
#include <arm_neon.h>

#include "kernels/lanes.h"
#include "kernels/neon_count.h"
#include "kernels/neon_pack.h"
#include "kernels/neon_real.h"
#include "kernels/sme2.h"
#include "kernels/sve2.h"

namespace keras_bnn {
namespace {

constexpr int kBlockVectors = kBlockChannels / kLanes;
constexpr int kRunWords = 31;     // a byte counts at most 8 per word, and 31 * 8 < 256
constexpr int kPairWords = 1023;  // 1023 * 32 bits are less than 2^15 - 1

// Sums of 4 bytes each, of the counts of two vectors of channels.
uint16x8_t SumBytes(uint8x16_t low, uint8x16_t high) { return vpaddq_u16(vpaddlq_u8(low), vpaddlq_u8(high)); }

float32x4_t ClampVector(float32x4_t x, float low, float high) {
  const float32x4_t lowest = vdupq_n_f32(low), highest = vdupq_n_f32(high);
  x = vbslq_f32(vcltq_f32(x, lowest), lowest, x);  // the maximum of -0.0 and 0.0 would not be x
  return vbslq_f32(vcgtq_f32(x, highest), highest, x);
}

bool Clamps(const FloatTransform& t) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return t.pre_low != -kInfinity || t.pre_high != kInfinity || t.low != -kInfinity || t.high != kInfinity;
}

// GCC 12 would load each vector just before its use, and store it at once: one by one, instead of several by one
// instruction.
template <typename Vector>
void KeepInRegister(Vector* x) {
  __asm__("" : "+w"(*x));
}

// Counts the bits of two pixels, of `all` steps. run(steps, &at, bytes) counts the next ones, at most run_steps; their
// bytes add up in 16 bits. counts is [pixel][32].
template <typename Run>
inline __attribute__((always_inline)) void CountPair(CountPosition at, int all, int run_steps, std::uint16_t* counts,
                                                     const Run& run) {
  constexpr int kSums = kCountPixels * kBlockVectors / 2;
  int left = all;
  do {
    uint8x16_t bytes[kCountPixels][kBlockVectors];
    run(left < run_steps ? left : run_steps, &at, bytes);
    uint16x8_t sums[kSums];
    for (int i = 0; i < kSums; ++i) {
      const int p = 2 * i / kBlockVectors, v = 2 * i % kBlockVectors;
      sums[i] = SumBytes(bytes[p][v], bytes[p][v + 1]);
      KeepInRegister(&sums[i]);
    }
    if (left != all) {
      uint16x8_t before[kSums];
      for (int i = 0; i < kSums; ++i) before[i] = vld1q_u16(counts + 2 * i * kLanes);
      for (int i = 0; i < kSums; ++i) KeepInRegister(&before[i]);
      for (int i = 0; i < kSums; ++i) sums[i] = vaddq_u16(before[i], sums[i]);
    }
    for (int i = 0; i < kSums; ++i) vst1q_u16(counts + 2 * i * kLanes, sums[i]);
    left -= run_steps;
  } while (left > 0);
}

constexpr std::int64_t kTapBytes = kMaxTilePixels * sizeof(Word*);

template <int kStep>
void CountPairs(const BinaryTile& tile, std::uint16_t* counts) {
  const int steps = tile.words / kStep, all = tile.taps * steps;
  const Word* const* const end = tile.rows + tile.pixels / kCountPixels * kCountPixels;
  const Word* const kernel = tile.kernel;
  for (const Word* const* rows = tile.rows; rows != end;
       rows += kCountPixels, counts += kCountPixels * kBlockChannels) {
    CountPair({rows, kernel}, all, kRunWords / kStep, counts,
              [=](int room, CountPosition* at, uint8x16_t(&bytes)[kCountPixels][kBlockVectors])
                  __attribute__((always_inline)) { CountSteps<kStep>(steps, kTapBytes, room, at, bytes); });
  }
}

// The same for taps of kStep words each.
template <int kStep>
void CountTapPairs(const BinaryTile& tile, std::uint16_t* counts) {
  const int taps = tile.taps;
  const Word* const* const end = tile.rows + tile.pixels / kCountPixels * kCountPixels;
  const Word* const kernel = tile.kernel;
  for (const Word* const* rows = tile.rows; rows != end;
       rows += kCountPixels, counts += kCountPixels * kBlockChannels) {
    CountPair({rows, kernel}, taps, kRunWords / kStep, counts,
              [](int room, CountPosition* at, uint8x16_t(&bytes)[kCountPixels][kBlockVectors])
                  __attribute__((always_inline)) { CountTaps<kStep, kTapBytes>(room, at, bytes); });
  }
}

// One pixel, of any number of words.
void CountPixel(const BinaryTile& tile, int pixel, std::int32_t* sums) {
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

// For tiles of more words than kPairWords.
template <int P>
struct LongTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    for (int p = 0; p < P; ++p) {
      std::int32_t sums[kBlockChannels];
      CountPixel(tile, p, sums);
      finish(p, StoredCounts<NeonLanes>{sums});
    }
  }
};

using Long = BinaryOf<LongTile>;

bool IsLong(const BinaryTile& tile) { return tile.taps * tile.words > kPairWords; }

// The counts of the other tiles, [pixel][32]. Pixels go two by two: their counters and words of x fill the registers.
void Count(const BinaryTile& tile, std::uint16_t* counts) {
  if (tile.words == 2) {
    CountTapPairs<2>(tile, counts);
  } else if (tile.words == 4) {
    CountTapPairs<4>(tile, counts);
  } else if (tile.words == 6) {
    CountTapPairs<6>(tile, counts);
  } else if (tile.words == 12) {
    CountTapPairs<12>(tile, counts);
  } else if (tile.words % 12 == 0) {
    CountPairs<12>(tile, counts);
  } else if (tile.words % 4 == 0) {
    CountPairs<4>(tile, counts);
  } else if (tile.words % 3 == 0) {
    CountPairs<3>(tile, counts);
  } else if (tile.words % 2 == 0) {
    CountPairs<2>(tile, counts);
  } else {
    CountPairs<1>(tile, counts);
  }
  if (tile.pixels % 2 == 0) return;
  std::int32_t sums[kBlockChannels];
  CountPixel(tile, tile.pixels - 1, sums);
  counts += (tile.pixels - 1) * kBlockChannels;
  for (int i = 0; i < kBlockChannels; ++i) counts[i] = static_cast<std::uint16_t>(sums[i]);
}

// sums = starts - 2 * counts
inline __attribute__((always_inline)) void SumsOf(const std::uint16_t* counts, const std::int32_t* starts,
                                                  int32x4_t (&sums)[kBlockVectors]) {
  const uint16x8x4_t count = vld1q_u16_x4(counts);
  const uint16x8_t two = vdupq_n_u16(2);
  __asm__("" : "+r"(starts));  // or GCC 12 computes the address of each vector from the whole table's
  for (int v = 0; v < kBlockVectors; v += 2) {
    const uint32x4_t low = vreinterpretq_u32_s32(vld1q_s32(starts + v * kLanes));
    const uint32x4_t high = vreinterpretq_u32_s32(vld1q_s32(starts + (v + 1) * kLanes));
    const uint16x8_t pair = count.val[v / 2];
    sums[v] = vreinterpretq_s32_u32(vmlsl_u16(low, vget_low_u16(pair), vget_low_u16(two)));
    sums[v + 1] = vreinterpretq_s32_u32(vmlsl_high_u16(high, pair, two));
  }
}

void AccumulateBits(const BinaryTile& tile, std::int32_t* acc) {
  if (IsLong(tile)) return Long::AccumulateBits(tile, acc);
  std::uint16_t counts[kMaxTilePixels * kBlockChannels];
  Count(tile, counts);
  for (int p = 0; p < tile.pixels; ++p, acc += kBlockChannels) {
    int32x4_t sums[kBlockVectors];
    SumsOf(counts + p * kBlockChannels, tile.values + tile.value_rows[p], sums);
    for (int v = 0; v < kBlockVectors; ++v) vst1q_s32(acc + v * kLanes, sums[v]);
  }
}

// A block's multipliers and biases, in registers for all pixels of a tile.
template <bool kClamps>
struct BlockTransform {
  float32x4_t multiplier[kBlockVectors], bias[kBlockVectors];
  float pre_low, pre_high, low, high;

  explicit BlockTransform(const FloatTransform& t)
      : pre_low(t.pre_low), pre_high(t.pre_high), low(t.low), high(t.high) {
    for (int v = 0; v < kBlockVectors; ++v) multiplier[v] = vld1q_f32(t.multiplier + v * kLanes);
    for (int v = 0; v < kBlockVectors; ++v) bias[v] = vld1q_f32(t.bias + v * kLanes);
  }

  void Write(const int32x4_t (&acc)[kBlockVectors], float* y) const {
    for (int v = 0; v < kBlockVectors; v += 2) {
      float32x4_t value[2];
      for (int i = 0; i < 2; ++i) {
        value[i] = vcvtq_f32_s32(acc[v + i]);
        if constexpr (kClamps) value[i] = ClampVector(value[i], pre_low, pre_high);
        value[i] = vaddq_f32(vmulq_f32(value[i], multiplier[v + i]), bias[v + i]);
        if constexpr (kClamps) value[i] = ClampVector(value[i], low, high);
      }
      for (int i = 0; i < 2; ++i) KeepInRegister(&value[i]);
      for (int i = 0; i < 2; ++i) vst1q_f32(y + (v + i) * kLanes, value[i]);
    }
  }
};

template <bool kClamps>
void FloatsOfCounts(const std::uint16_t* counts, const BinaryTile& tile, const FloatTransform& t, float* y,
                    std::int64_t stride) {
  const BlockTransform<kClamps> transform(t);
  const std::int32_t* values = tile.values;
  const int* rows = tile.value_rows;
  for (const int* end = rows + tile.pixels; rows < end; ++rows, counts += kBlockChannels, y += stride) {
    int32x4_t sums[kBlockVectors];
    SumsOf(counts, values + *rows, sums);
    transform.Write(sums, y);
  }
}

void FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& t, float* y, std::int64_t stride) {
  if (IsLong(tile)) return Long::FloatsFromBits(tile, channels, t, y, stride);
  if (channels != kBlockChannels) {
    std::int32_t acc[kMaxTilePixels * kBlockChannels];
    AccumulateBits(tile, acc);
    return Transforms<NeonLanes>::Floats(acc, tile.pixels, channels, t, y, stride);
  }
  std::uint16_t counts[kMaxTilePixels * kBlockChannels];
  Count(tile, counts);
  if (Clamps(t)) {
    FloatsOfCounts<true>(counts, tile, t, y, stride);
  } else {
    FloatsOfCounts<false>(counts, tile, t, y, stride);
  }
}

// bit i = counts[i] > limits[i]. Counts are below 2^15 - 1, so limits saturate.
Word ExceedBits(const std::uint16_t* counts, const std::int32_t* limits) {
  static const std::uint8_t kOwn[kByteLanes] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint16x8x4_t count = vld1q_u16_x4(counts);
  const int32x4x4_t low = vld1q_s32_x4(limits), high = vld1q_s32_x4(limits + kBlockChannels / 2);
  uint8x16_t exceed[kBlockVectors / 2];  // two bytes per channel
  for (int v = 0; v < kBlockVectors / 2; ++v) {
    const int32x4x4_t& half = v < 2 ? low : high;
    const int16x8_t limit = vqmovn_high_s32(vqmovn_s32(half.val[v % 2 * 2]), half.val[v % 2 * 2 + 1]);
    exceed[v] = vreinterpretq_u8_u16(vcgtq_s16(vreinterpretq_s16_u16(count.val[v]), limit));
  }
  const uint8x16_t own = vld1q_u8(kOwn);
  const uint8x16_t first = vandq_u8(vuzp1q_u8(exceed[0], exceed[1]), own);
  const uint8x16_t second = vandq_u8(vuzp1q_u8(exceed[2], exceed[3]), own);
  uint8x16_t bits = vpaddq_u8(first, second);
  bits = vpaddq_u8(bits, bits);
  bits = vpaddq_u8(bits, bits);
  return vgetq_lane_u32(vreinterpretq_u32_u8(bits), 0);
}

void CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride) {
  if (IsLong(tile)) return Long::CompareBits(tile, words, stride);
  std::uint16_t all[kMaxTilePixels * kBlockChannels];
  Count(tile, all);
  const std::uint16_t* counts = all;
  const std::int32_t* values = tile.values;
  const int* rows = tile.value_rows;
  for (const int* end = rows + tile.pixels; rows < end; ++rows, counts += kBlockChannels, words += stride) {
    *words = ExceedBits(counts, values + *rows);
  }
}

template <bool kClamps>
void FloatsOfBlock(const std::int32_t* acc, int pixels, const FloatTransform& t, float* y, std::int64_t stride) {
  const BlockTransform<kClamps> transform(t);
  for (int p = 0; p < pixels; ++p, acc += kBlockChannels, y += stride) {
    int32x4_t sums[kBlockVectors];
    for (int v = 0; v < kBlockVectors; ++v) sums[v] = vld1q_s32(acc + v * kLanes);
    transform.Write(sums, y);
  }
}

void FloatsFromInt(const std::int32_t* acc, int pixels, int channels, const FloatTransform& t, float* y,
                   std::int64_t stride) {
  if (channels != kBlockChannels) {
    Transforms<NeonLanes>::Floats(acc, pixels, channels, t, y, stride);
  } else if (Clamps(t)) {
    FloatsOfBlock<true>(acc, pixels, t, y, stride);
  } else {
    FloatsOfBlock<false>(acc, pixels, t, y, stride);
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
  KernelSet set = KernelSetOf<NeonLanes, LongTile, NeonReal>::Named("neon", 100);
  set.accumulate_bits = AccumulateBits;
  set.floats_from_bits = FloatsFromBits;
  set.compare_bits = CompareBits;
  set.floats_from_int = FloatsFromInt;
  set.bits_from_int = BitsFromInt;
  set.pack_float = PackFloat;
  set.pack_int8 = PackInt8;
  set.pack_scaled = PackScaled;
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
  set.steps_per_microsecond = 800;
  set.accumulate_bits = Sme2AccumulateBits;
  set.floats_from_bits = Sme2FloatsFromBits;
  set.compare_bits = Sme2CompareBits;
  return set;
}

extern const KernelSet kSme2Kernels = Sme2Kernels();
#endif

}  // namespace keras_bnn
