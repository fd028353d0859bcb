// Signs to packed bits on NEON.
//
// Rows of a few words gather the bits of 8 vectors of 4 masks. Long rows go by 256 values, as vectors of 16 bytes whose
// top bits are wanted: of an int8 its comparison, of a float its top byte, which ld4 splits off. That byte has the sign
// and 7 bits of the exponent, so that only 0x80 (-0.0 or tiny) and 0xff (huge, infinite or NaN) leave open whether the
// value is negative: where one of them turns up, the values are packed again by comparing them.
#ifndef KERAS_BNN_KERNELS_NEON_PACK_H_
#define KERAS_BNN_KERNELS_NEON_PACK_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kLanes = 4;
constexpr int kByteLanes = 16;
constexpr int kLongRow = 256;  // values that PackTopBits packs
constexpr int kLongRowWords = kLongRow / kWordBits;
constexpr int kMostLongRows = 16;  // before the next look for values whose top bytes leave their signs open

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

// The top bits of 16 vectors, taken one after the other from next(). Call a value's number m3 m2 m1 m0 h l2 l1 l0 in
// binary: bits m of its vector, h and l of its place there. Shifted into each other, the vectors leave it in register
// m0, byte h l2 l1 l0, at bit ~m3 ~m2 ~m1. Each stage makes l0, l1 or l2 the number of the register (uzp), and then a
// digit of the bit's place, whose old digit becomes that of the register. In the end byte and register are m3 m2 m1 m0
// h.
template <typename Next>
inline __attribute__((always_inline)) void PackTopBits(const Next& next, Word* words) {
  uint8x16_t even = next(), odd = next();
  even = vsriq_n_u8(even, next(), 1), odd = vsriq_n_u8(odd, next(), 1);
  even = vsriq_n_u8(even, next(), 2), odd = vsriq_n_u8(odd, next(), 2);
  even = vsriq_n_u8(even, next(), 3), odd = vsriq_n_u8(odd, next(), 3);
  even = vsriq_n_u8(even, next(), 4), odd = vsriq_n_u8(odd, next(), 4);
  even = vsriq_n_u8(even, next(), 5), odd = vsriq_n_u8(odd, next(), 5);
  even = vsriq_n_u8(even, next(), 6), odd = vsriq_n_u8(odd, next(), 6);
  even = vsriq_n_u8(even, next(), 7), odd = vsriq_n_u8(odd, next(), 7);

  const uint8x16_t singles = vdupq_n_u8(0x55), pairs = vdupq_n_u8(0x33);
  uint8x16_t zero = vuzp1q_u8(even, odd), one = vuzp2q_u8(even, odd);  // l0
  uint8x16_t m1_one = vbslq_u8(singles, zero, vshlq_n_u8(one, 1));
  uint8x16_t m1_zero = vbslq_u8(singles, vshrq_n_u8(zero, 1), one);
  zero = vuzp1q_u8(m1_zero, m1_one), one = vuzp2q_u8(m1_zero, m1_one);  // l1
  uint8x16_t m2_one = vbslq_u8(pairs, zero, vshlq_n_u8(one, 2));
  uint8x16_t m2_zero = vbslq_u8(pairs, vshrq_n_u8(zero, 2), one);
  zero = vuzp1q_u8(m2_zero, m2_one), one = vuzp2q_u8(m2_zero, m2_one);  // l2
  vst1q_u32(words, vreinterpretq_u32_u8(vsriq_n_u8(one, zero, 4)));
  vst1q_u32(words + kLongRowWords / 2, vreinterpretq_u32_u8(vsliq_n_u8(zero, one, 4)));
}

// To the next vectors of a row. GCC 12 would compute each address from that of the first one, and the loads would not
// move the pointer.
template <typename T>
inline __attribute__((always_inline)) void Advance(const T** at, int step) {
  *at += step;
  __asm__("" : "+r"(*at));
}

void PackFloatWords(const float* x, int count, Word* words) {
  for (int w = 0; w < count; ++w, x += kWordBits) {
    const float32x4x4_t low = vld1q_f32_x4(x), high = vld1q_f32_x4(x + kWordBits / 2);
    words[w] = GatherBits([&](int i) {
      const int v = i / kLanes;
      return vcltzq_f32(v < 4 ? low.val[v] : high.val[v - 4]);
    });
  }
}

// Packs the signs of count * kLongRow values, and says whether all are certain.
bool PackFloatSigns(const float* x, int count, Word* words) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(x);
  int8x16_t least = vdupq_n_s8(0);
  uint8x16_t most = vdupq_n_u8(0);
  for (int i = 0; i < count; ++i, words += kLongRowWords) {
    PackTopBits(
        [&]() __attribute__((always_inline)) {
          const uint8x16_t top = vld4q_u8(bytes).val[3];
          Advance(&bytes, 4 * kByteLanes);
          least = vminq_s8(least, vreinterpretq_s8_u8(top));
          most = vmaxq_u8(most, top);
          return top;
        },
        words);
  }
  const uint8x16_t open = vorrq_u8(vceqq_s8(least, vdupq_n_s8(-128)), vceqq_u8(most, vdupq_n_u8(0xff)));
  return vmaxvq_u8(open) == 0;
}

void PackFloat(const float* x, int channels, Word* words) {
  while (channels >= kLongRow) {
    const int count = channels < kMostLongRows * kLongRow ? channels / kLongRow : kMostLongRows;
    if (!PackFloatSigns(x, count, words)) PackFloatWords(x, count * kLongRowWords, words);
    channels -= count * kLongRow;
    x += count * kLongRow;
    words += count * kLongRowWords;
  }
  const int whole = channels / kWordBits;
  PackFloatWords(x, whole, words);
  if (channels % kWordBits > 0) {
    Transforms<NeonLanes>::PackFloat(x + whole * kWordBits, channels % kWordBits, words + whole);
  }
}

void PackInt8(const std::int8_t* x, int channels, std::int32_t zero_point, Word* words) {
  const int8x16_t zero = vdupq_n_s8(static_cast<std::int8_t>(zero_point));
  for (; channels >= kLongRow; channels -= kLongRow, words += kLongRowWords) {
    PackTopBits(
        [&]() __attribute__((always_inline)) {
          const uint8x16_t less = vcltq_s8(vld1q_s8(x), zero);
          Advance(&x, kByteLanes);
          return less;
        },
        words);
  }
  Transforms<NeonLanes>::PackInt8(x, channels, zero_point, words);
}

void PackScaled(const float* x, int channels, const float* multiplier, const float* bias, Word* words) {
  for (; channels >= kWordBits; channels -= kWordBits) {
    uint32x4_t negative[kWordBits / kLanes];
    for (int i = 0; i < kWordBits; i += 4 * kLanes) {
      const float32x4x4_t values = vld1q_f32_x4(x), factors = vld1q_f32_x4(multiplier), terms = vld1q_f32_x4(bias);
      Advance(&x, 4 * kLanes);
      Advance(&multiplier, 4 * kLanes);
      Advance(&bias, 4 * kLanes);
      for (int v = 0; v < 4; ++v) {
        negative[i / kLanes + v] = vcltzq_f32(vaddq_f32(vmulq_f32(values.val[v], factors.val[v]), terms.val[v]));
      }
    }
    *words++ = GatherBits([&](int i) { return negative[i / kLanes]; });
  }
  if (channels > 0) Transforms<NeonLanes>::PackScaled(x, channels, multiplier, bias, words);
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_PACK_H_
