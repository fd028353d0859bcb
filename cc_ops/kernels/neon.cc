// NEON for aarch64: 4 channels per register. A block is done in two halves of 16 channels, in tiles of 4 pixels.
//
// Registers of accumulate_bits: 16 byte counters, 4 kernel words, 1 broadcast x, temporaries, of 32. Bound: eor, cnt
// and add per 128 binary multiply-accumulates. The counts of up to kRunWords words add up in bytes before they are
// widened to int32.
#include <arm_neon.h>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 4;
constexpr int kLanes = 4;
constexpr int kVectors = 4;  // of a half block
constexpr int kHalf = kVectors * kLanes;
constexpr int kRunWords = 31;  // a byte counts at most 8 per word, and 31 * 8 < 256

// Packs 32 lanes of all-ones or all-zeros: each lane keeps its own bit, and the bits of a word add up without a carry.
template <typename Mask>
Word GatherBits(const Mask& mask) {
  static const std::uint32_t kBit[kLanes] = {1, 2, 4, 8};
  const uint32x4_t bit = vld1q_u32(kBit);
  Word word = 0;
  for (int i = 0; i < kWordBits; i += kLanes) word |= vaddvq_u32(vandq_u32(mask(i), bit)) << i;
  return word;
}

struct NeonLanes {
  static Word NegativeBits(const float* x) {
    return GatherBits([x](int i) { return vcltzq_f32(vld1q_f32(x + i)); });
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    return GatherBits([a, b](int i) { return vcltq_s32(vld1q_s32(a + i), vld1q_s32(b + i)); });
  }
};

// GCC 12 would load a kernel word again for each pixel rather than keep it.
template <typename Vector>
void KeepInRegister(Vector* x) {
  __asm__("" : "+w"(*x));
}

// acc -= 2 * counts
template <int P>
void TakeOff(const uint8x16_t (&counts)[P][kVectors], std::int32_t* acc) {
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < kVectors; ++v) {
      std::int32_t* lane = acc + p * kBlockChannels + v * kLanes;
      const int32x4_t sums = vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(counts[p][v])));
      vst1q_s32(lane, vsubq_s32(vld1q_s32(lane), vshlq_n_s32(sums, 1)));
    }
  }
}

template <int P>
struct BitsTile {
  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    for (int half = 0; half < kBlockChannels; half += kHalf)
      RunHalf(rows, taps, words, kernel + half, bits, acc + half);
  }

  static void RunHalf(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                      std::int32_t* acc) {
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < kVectors; ++v) vst1q_s32(acc + p * kBlockChannels + v * kLanes, vdupq_n_s32(bits));
    }
    ForEachRun(taps, words, kRunWords, [&](int first_tap, int run_taps, int first_word, int run_words) {
      uint8x16_t counts[P][kVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kVectors; ++v) counts[p][v] = vdupq_n_u8(0);
      }
      const Word* const* tap_rows = rows + first_tap * P;
      for (int tap = 0; tap < run_taps; ++tap, tap_rows += P) {
        const Word* x[P];
        for (int p = 0; p < P; ++p) x[p] = tap_rows[p] + first_word;
        for (int w = 0; w < run_words; ++w, kernel += kBlockChannels) {
          uint8x16_t k[kVectors];
          for (int v = 0; v < kVectors; ++v) {
            k[v] = vreinterpretq_u8_u32(vld1q_u32(kernel + v * kLanes));
            KeepInRegister(&k[v]);
          }
          for (int p = 0; p < P; ++p) {
            const uint8x16_t word = vreinterpretq_u8_u32(vld1q_dup_u32(x[p]++));
            for (int v = 0; v < kVectors; ++v) counts[p][v] = vaddq_u8(counts[p][v], vcntq_u8(veorq_u8(word, k[v])));
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

// x * +-1 is exact, so the fused multiply-add rounds once, as adding or subtracting x does.
template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kHalf) RunHalf(rows, taps, channels, kernel, half, acc + half);
  }

  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    float32x4_t sums[P][kVectors];
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < kVectors; ++v) sums[p][v] = vdupq_n_f32(0.0f);
    }
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        float32x4_t k[kVectors];
        for (int v = 0; v < kVectors; ++v) k[v] = PlusMinusOne(*kernel, half + v * kLanes);
        for (int p = 0; p < P; ++p) {
          const float32x4_t value = vld1q_dup_f32(rows[p] + c);
          for (int v = 0; v < kVectors; ++v) sums[p][v] = vfmaq_f32(sums[p][v], value, k[v]);
        }
      }
    }
    for (int p = 0; p < P; ++p) {
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
        RunHalf(rows, taps, channels, kernel, zero_point, half, acc + half);
      }
    }

    static void RunHalf(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                        int half, std::int32_t* acc) {
      int32x4_t sums[P][kVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kVectors; ++v) sums[p][v] = vdupq_n_s32(0);
      }
      for (int tap = 0; tap < taps; ++tap, rows += P) {
        for (int c = 0; c < channels; ++c, ++kernel) {
          int32x4_t minus[kVectors];  // -1 where the kernel is -1, else 0
          for (int v = 0; v < kVectors; ++v) minus[v] = vshrq_n_s32(SignBits(*kernel, half + v * kLanes), 31);
          for (int p = 0; p < P; ++p) {
            const int32x4_t value = vdupq_n_s32(rows[p][c] - zero_point);
            for (int v = 0; v < kVectors; ++v) {
              sums[p][v] = vaddq_s32(sums[p][v], vsubq_s32(veorq_s32(value, minus[v]), minus[v]));
            }
          }
        }
      }
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kVectors; ++v) vst1q_s32(acc + p * kBlockChannels + v * kLanes, sums[p][v]);
      }
    }
  };
};

}  // namespace

extern const KernelSet kNeonKernels =
    KernelSetOf<NeonLanes, kTilePixels, BitsTile, FloatTile, IntTiles>::Named("neon", 1 << 13);

}  // namespace keras_bnn
