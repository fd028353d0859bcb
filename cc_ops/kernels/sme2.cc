// SME2: the outer product of bits, BMOPA. With L 32-bit lanes in a streaming vector it takes the words of L pixels and
// of L channels, and adds to each of the L x L counters of a tile the number of bits in which the two words agree:
// 32 L^2 binary multiply-accumulates, 8192 with vectors of 512 bits.
//
// In assembly: no instruction of the compiler may stand between the switch to streaming mode and the one back, and so
// the assembler alone has to know SME; BMOPA is given as its code, since assemblers learnt SME2 later. Runs at any
// vector length, L pixels and 2 L channels at a time:
//
//     za0, za1    counters of the L pixels and the first and second L channels
//     za2         the words of the L pixels under a tap, L of each: a row is a pixel, so that a column has one word of
//                 all pixels side by side, as BMOPA wants them
#include "kernels/sme2.h"

namespace keras_bnn {
namespace {

// acc[pixel][channel] = value - (count << shift), saturated.
void SubtractCounts(const BinaryTile& tile, int shift, std::int32_t* acc) {
  const std::int32_t bits = kWordBits * tile.words * tile.taps;
  const std::int64_t pixels = tile.pixels, block = kBlockChannels;
  const std::int64_t next_tile = (std::int64_t{tile.taps} - 1) * kMaxTilePixels * sizeof(Word*);  // in tile.rows
  std::int64_t lanes, channel, pixel, group, word, columns, left, last_four;
  const Word* k;
  const Word* const* table;
  const void *row, *x0, *x1;
  // clang-format off
  __asm__ volatile(
      ".arch_extension sme\n"
      // Where a caller's tiles wait to be saved (TPIDR2_EL0), save them, as the procedure call standard asks.
      "mrs %[x0], s3_3_c13_c0_5\n"
      "cbz %[x0], 2f\n"
      "ldr %[row], [%[x0]]\n"
      "ldrh %w[left], [%[x0], #8]\n"
      "rdsvl %[x1], #1\n"
      "mov w12, #0\n"
      "b 1f\n"
      "0: str za[w12, 0], [%[row]]\n"
      "add %[row], %[row], %[x1]\n"
      "add w12, w12, #1\n"
      "1: cmp w12, %w[left]\n"
      "b.lo 0b\n"
      "msr s3_3_c13_c0_5, xzr\n"

      "2: smstart\n"
      "cntw %[lanes]\n"
      "ptrue p0.s\n"
      "dup z30.s, %w[shift]\n"
      "dup z31.s, %w[bits]\n"
      "mov %[channel], #0\n"

      // Two vectors of channels: those of p1 and p2.
      "10: whilelt p1.s, %w[channel], %w[block]\n"
      "add %[x0], %[channel], %[lanes]\n"
      "whilelt p2.s, %w[x0], %w[block]\n"
      "mov %[pixel], #0\n"

      // A group of at most L pixels: those of p3.
      "20: whilelt p3.s, %w[pixel], %w[pixels]\n"
      "sub %w[group], %w[pixels], %w[pixel]\n"
      "cmp %[lanes], %[group]\n"
      "csel %[group], %[lanes], %[group], lt\n"
      "add %[k], %[kernel], %[channel], lsl #2\n"
      "lsr %[x0], %[pixel], #3\n"
      "madd %[table], %[x0], %[next_tile], %[rows]\n"
      "add %[table], %[table], %[pixel], lsl #3\n"
      "mov %w[left], %w[taps]\n"
      "zero {za0.s, za1.s}\n"

      // A tap, and at most L of its words: those of p4.
      "30: mov %[word], #0\n"
      "31: whilelt p4.s, %w[word], %w[words]\n"
      "sub %w[columns], %w[words], %w[word]\n"
      "cmp %[lanes], %[columns]\n"
      "csel %[columns], %[lanes], %[columns], lt\n"

      // The rows of za2, by four and then by one.
      "mov %[row], %[table]\n"
      "mov w12, #0\n"
      "subs %w[last_four], %w[group], #4\n"
      "b.lt 42f\n"
      "41: ldp %[x0], %[x1], [%[row]]\n"
      "ld1w {za2h.s[w12, 0]}, p4/z, [%[x0], %[word], lsl #2]\n"
      "ld1w {za2h.s[w12, 1]}, p4/z, [%[x1], %[word], lsl #2]\n"
      "ldp %[x0], %[x1], [%[row], #16]\n"
      "ld1w {za2h.s[w12, 2]}, p4/z, [%[x0], %[word], lsl #2]\n"
      "ld1w {za2h.s[w12, 3]}, p4/z, [%[x1], %[word], lsl #2]\n"
      "add %[row], %[row], #32\n"
      "add w12, w12, #4\n"
      "tbnz w12, #2, 44f\n"
      "add %[row], %[row], %[next_tile]\n"
      "44: cmp w12, %w[last_four]\n"
      "b.le 41b\n"
      "42: cmp w12, %w[group]\n"
      "b.eq 50f\n"
      "43: ldr %[x0], [%[row]], #8\n"
      "ld1w {za2h.s[w12, 0]}, p4/z, [%[x0], %[word], lsl #2]\n"
      "add w12, w12, #1\n"
      "cmp w12, %w[group]\n"
      "b.lt 43b\n"

      // The columns: one word of all pixels and channels.
      "50: mov w13, #0\n"
      "51: mova z0.s, p3/m, za2v.s[w13, 0]\n"
      "ld1w {z1.s}, p1/z, [%[k]]\n"
      "ld1w {z2.s}, p2/z, [%[k], #1, mul vl]\n"
      ".inst 0x80812c08\n"  // bmopa za0.s, p3/m, p1/m, z0.s, z1.s
      ".inst 0x80824c09\n"  // bmopa za1.s, p3/m, p2/m, z0.s, z2.s
      "add %[k], %[k], %[block], lsl #2\n"
      "add w13, w13, #1\n"
      "cmp w13, %w[columns]\n"
      "b.lt 51b\n"

      "add %[word], %[word], %[lanes]\n"
      "cmp %w[word], %w[words]\n"
      "b.lt 31b\n"
      "add %[table], %[table], #64\n"
      "subs %w[left], %w[left], #1\n"
      "b.ne 30b\n"

      // A row of counters is a pixel's channels; bits less those that agree are the count.
      "madd %[x0], %[pixel], %[block], %[channel]\n"
      "add %[x0], %[acc], %[x0], lsl #2\n"
      "add %[k], %[values], %[channel], lsl #2\n"
      "add %[row], %[value_rows], %[pixel], lsl #2\n"
      "mov w12, #0\n"
      "60: ldrsw %[x1], [%[row]], #4\n"
      "add %[x1], %[k], %[x1], lsl #2\n"
      "ld1w {z2.s}, p1/z, [%[x1]]\n"
      "ld1w {z3.s}, p2/z, [%[x1], #1, mul vl]\n"
      "mova z0.s, p0/m, za0h.s[w12, 0]\n"
      "mova z1.s, p0/m, za1h.s[w12, 0]\n"
      "sub z0.s, z31.s, z0.s\n"
      "sub z1.s, z31.s, z1.s\n"
      "lsl z0.s, p0/m, z0.s, z30.s\n"
      "lsl z1.s, p0/m, z1.s, z30.s\n"
      "sqsub z2.s, z2.s, z0.s\n"
      "sqsub z3.s, z3.s, z1.s\n"
      "st1w {z2.s}, p1, [%[x0]]\n"
      "st1w {z3.s}, p2, [%[x0], #1, mul vl]\n"
      "add %[x0], %[x0], %[block], lsl #2\n"
      "add w12, w12, #1\n"
      "cmp w12, %w[group]\n"
      "b.lt 60b\n"

      "add %[pixel], %[pixel], %[lanes]\n"
      "cmp %w[pixel], %w[pixels]\n"
      "b.lt 20b\n"
      "add %[channel], %[channel], %[lanes], lsl #1\n"
      "cmp %[channel], %[block]\n"
      "b.lt 10b\n"
      "smstop\n"
      : [lanes] "=&r"(lanes), [channel] "=&r"(channel), [pixel] "=&r"(pixel), [group] "=&r"(group), [word] "=&r"(word),
        [columns] "=&r"(columns), [left] "=&r"(left), [k] "=&r"(k), [table] "=&r"(table), [row] "=&r"(row),
        [x0] "=&r"(x0), [x1] "=&r"(x1), [last_four] "=&r"(last_four)
      : [rows] "r"(tile.rows), [pixels] "r"(pixels), [taps] "r"(tile.taps), [words] "r"(tile.words),
        [kernel] "r"(tile.kernel), [bits] "r"(bits), [acc] "r"(acc), [block] "r"(block),
        [next_tile] "r"(next_tile), [values] "r"(tile.values), [value_rows] "r"(tile.value_rows), [shift] "r"(shift)
      : "x12", "x13", "p0", "p1", "p2", "p3", "p4", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
        "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
        "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
  // clang-format on
}

}  // namespace

// A single pixel is one row of an outer product, which is not worth a switch to streaming mode. What becomes of the
// sums is NEON's work again.
void Sme2AccumulateBits(const BinaryTile& tile, std::int32_t* acc) {
  if (tile.pixels == 1) return kNeonKernels.accumulate_bits(tile, acc);
  SubtractCounts(tile, 1, acc);
}

void Sme2FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& transform, float* y,
                        std::int64_t stride) {
  if (tile.pixels == 1) return kNeonKernels.floats_from_bits(tile, channels, transform, y, stride);
  alignas(64) std::int32_t sums[kSme2Pixels * kBlockChannels];
  SubtractCounts(tile, 1, sums);
  kNeonKernels.floats_from_int(sums, tile.pixels, channels, transform, y, stride);
}

void Sme2CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride) {
  if (tile.pixels == 1) return kNeonKernels.compare_bits(tile, words, stride);
  alignas(64) std::int32_t left[kSme2Pixels * kBlockChannels];  // below 0 where the count is larger than the value
  SubtractCounts(tile, 0, left);
  constexpr std::int32_t kZeros[kBlockChannels] = {};
  kNeonKernels.bits_from_int(left, tile.pixels, kZeros, words, stride);
}

}  // namespace keras_bnn
