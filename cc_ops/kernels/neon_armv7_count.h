// The inner loop of accumulate_bits for NEON on 32-bit ARM, in assembly: GCC 12 spills the counters.
//
// Registers: 8 byte counters, of two pixels and half a block or of one pixel and a block; a word of x of each pixel in
// all lanes, 2 vectors of the kernel, 4 temporaries. Per word and vector of 4 channels: veor, vcnt, vadd. The first
// word of a run sets the counters, which saves clearing them.
#ifndef KERAS_BNN_KERNELS_NEON_ARMV7_COUNT_H_
#define KERAS_BNN_KERNELS_NEON_ARMV7_COUNT_H_

#include <arm_neon.h>

#include "core/layout.h"

namespace keras_bnn {
namespace {

constexpr int kCounters = 8;

// Where a run goes on: x of the pixels, and the steps that are left of the present tap.
struct CountPosition {
  const Word* const* rows;  // of the next tap
  const Word* kernel;
  const Word* x0 = nullptr;
  const Word* x1 = nullptr;
  int left = 0;
};

// clang-format off

// Of the bits that differ, q4 and q6 count in the counters a and b, q5 and q7 in c and d.
#define KERAS_BNN_SET(a, b, c, d)               \
  "vcnt.8 %q[c" a "], q4\n"                     \
  "vcnt.8 %q[c" c "], q5\n"                     \
  "vcnt.8 %q[c" b "], q6\n"                     \
  "vcnt.8 %q[c" d "], q7\n"
#define KERAS_BNN_ADD(a, b, c, d)               \
  "vcnt.8 q4, q4\n"                             \
  "vcnt.8 q5, q5\n"                             \
  "vcnt.8 q6, q6\n"                             \
  "vcnt.8 q7, q7\n"                             \
  "vadd.i8 %q[c" a "], %q[c" a "], q4\n"        \
  "vadd.i8 %q[c" c "], %q[c" c "], q5\n"        \
  "vadd.i8 %q[c" b "], %q[c" b "], q6\n"        \
  "vadd.i8 %q[c" d "], %q[c" d "], q7\n"

// A word of two pixels, with half a block: counters 0 to 3 and 4 to 7.
#define KERAS_BNN_PAIR_DIFFER                   \
  "veor q4, q0, q2\n"                           \
  "veor q5, q1, q2\n"                           \
  "veor q6, q0, q3\n"                           \
  "veor q7, q1, q3\n"
#define KERAS_BNN_PAIR_WORD(COUNT)              \
  "vld1.32 {d0[], d1[]}, [%[x0]]!\n"            \
  "vld1.32 {d2[], d3[]}, [%[x1]]!\n"            \
  "vld1.32 {d4-d7}, [%[kernel]]!\n"             \
  KERAS_BNN_PAIR_DIFFER                         \
  COUNT("0", "1", "4", "5")                     \
  "vld1.32 {d4-d7}, [%[kernel]], %[skip]\n"     \
  KERAS_BNN_PAIR_DIFFER                         \
  COUNT("2", "3", "6", "7")
#define KERAS_BNN_PAIR_TAP                      \
  "ldr %[x0], [%[rows]]\n"                      \
  "ldr %[x1], [%[rows], #4]\n"                  \
  "add %[rows], %[rows], %[stride]\n"

// A word of one pixel, with a block.
#define KERAS_BNN_PIXEL_DIFFER                  \
  "vld1.32 {d4-d7}, [%[kernel]]!\n"             \
  "veor q4, q0, q2\n"                           \
  "veor q6, q0, q3\n"                           \
  "vld1.32 {d4-d7}, [%[kernel]]!\n"             \
  "veor q5, q0, q2\n"                           \
  "veor q7, q0, q3\n"
#define KERAS_BNN_PIXEL_WORD(COUNT)             \
  "vld1.32 {d0[], d1[]}, [%[x0]]!\n"            \
  KERAS_BNN_PIXEL_DIFFER                        \
  COUNT("0", "1", "2", "3")                     \
  KERAS_BNN_PIXEL_DIFFER                        \
  COUNT("4", "5", "6", "7")
#define KERAS_BNN_PIXEL_TAP                     \
  "ldr %[x0], [%[rows]]\n"                      \
  "add %[rows], %[rows], %[stride]\n"

// A step: 1, 2 or 4 words.
#define KERAS_BNN_STEP1(WORD, FIRST)            \
  WORD(FIRST)
#define KERAS_BNN_STEP2(WORD, FIRST)            \
  WORD(FIRST)                                   \
  WORD(KERAS_BNN_ADD)
#define KERAS_BNN_STEP4(WORD, FIRST)            \
  WORD(FIRST)                                   \
  WORD(KERAS_BNN_ADD)                           \
  WORD(KERAS_BNN_ADD)                           \
  WORD(KERAS_BNN_ADD)

// Taps of one step each.
#define KERAS_BNN_RUN_TAPS(STEP, WORD, TAP)     \
  TAP                                           \
  STEP(WORD, KERAS_BNN_SET)                     \
  "b 2f\n"                                      \
  "1:\n"                                        \
  TAP                                           \
  STEP(WORD, KERAS_BNN_ADD)                     \
  "2:\n"                                        \
  "subs %[room], %[room], #1\n"                 \
  "bne 1b\n"

// Taps of several steps: a run may begin and end inside a tap. No pointer is read past the last tap's.
#define KERAS_BNN_RUN_STEPS(STEP, WORD, TAP)    \
  "cmp %[left], #0\n"                           \
  "bne 1f\n"                                    \
  TAP                                           \
  "mov %[left], %[steps]\n"                     \
  "1:\n"                                        \
  STEP(WORD, KERAS_BNN_SET)                     \
  "b 3f\n"                                      \
  "2:\n"                                        \
  STEP(WORD, KERAS_BNN_ADD)                     \
  "3:\n"                                        \
  "sub %[left], %[left], #1\n"                  \
  "subs %[room], %[room], #1\n"                 \
  "beq 4f\n"                                    \
  "cmp %[left], #0\n"                           \
  "bne 2b\n"                                    \
  TAP                                           \
  "mov %[left], %[steps]\n"                     \
  "b 2b\n"                                      \
  "4:\n"

#define KERAS_BNN_ASM(TEXT)                                                                                  \
  __asm__(TEXT                                                                                               \
          : [c0] "=&w"(counts[0]), [c1] "=&w"(counts[1]), [c2] "=&w"(counts[2]), [c3] "=&w"(counts[3]),      \
            [c4] "=&w"(counts[4]), [c5] "=&w"(counts[5]), [c6] "=&w"(counts[6]), [c7] "=&w"(counts[7]),      \
            [rows] "+r"(at->rows), [kernel] "+r"(at->kernel), [x0] "+r"(at->x0), [x1] "+r"(at->x1),          \
            [left] "+r"(at->left), [room] "+r"(room)                                                         \
          : [steps] "r"(steps), [stride] "r"(stride), [skip] "r"(kSkip)                                      \
          : "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14",   \
            "d15", "cc", "memory")

// clang-format on

// Counts, per byte, the bits that differ in the next `room` steps of kStep words, at least one and at most 31 words. A
// tap has `steps` steps, and its pointers lie `stride` bytes after those of the tap before. A pair of pixels reads half
// a block of the kernel, whose words lie a block apart.
template <int kStep, bool kPair>
inline __attribute__((always_inline)) void CountSteps(int steps, int stride, int room, CountPosition* at,
                                                      uint8x16_t (&counts)[kCounters]) {
  static_assert(kStep == 1 || kStep == 2 || kStep == 4);
  constexpr int kSkip = 3 * 32;  // bytes from the second quarter of a block to the next block's first
  if constexpr (kPair && kStep == 1) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP1, KERAS_BNN_PAIR_WORD, KERAS_BNN_PAIR_TAP));
  } else if constexpr (kPair && kStep == 2) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP2, KERAS_BNN_PAIR_WORD, KERAS_BNN_PAIR_TAP));
  } else if constexpr (kPair) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP4, KERAS_BNN_PAIR_WORD, KERAS_BNN_PAIR_TAP));
  } else if constexpr (kStep == 1) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP1, KERAS_BNN_PIXEL_WORD, KERAS_BNN_PIXEL_TAP));
  } else if constexpr (kStep == 2) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP2, KERAS_BNN_PIXEL_WORD, KERAS_BNN_PIXEL_TAP));
  } else {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP4, KERAS_BNN_PIXEL_WORD, KERAS_BNN_PIXEL_TAP));
  }
}

// The same for a pair of pixels and taps of one step.
template <int kStep>
inline __attribute__((always_inline)) void CountTaps(int stride, int room, CountPosition* at,
                                                     uint8x16_t (&counts)[kCounters]) {
  static_assert(kStep == 2 || kStep == 4);
  constexpr int kSkip = 3 * 32, steps = 1;
  if constexpr (kStep == 2) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP2, KERAS_BNN_PAIR_WORD, KERAS_BNN_PAIR_TAP));
  } else {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP4, KERAS_BNN_PAIR_WORD, KERAS_BNN_PAIR_TAP));
  }
}

#undef KERAS_BNN_SET
#undef KERAS_BNN_ADD
#undef KERAS_BNN_PAIR_DIFFER
#undef KERAS_BNN_PAIR_WORD
#undef KERAS_BNN_PAIR_TAP
#undef KERAS_BNN_PIXEL_DIFFER
#undef KERAS_BNN_PIXEL_WORD
#undef KERAS_BNN_PIXEL_TAP
#undef KERAS_BNN_STEP1
#undef KERAS_BNN_STEP2
#undef KERAS_BNN_STEP4
#undef KERAS_BNN_RUN_TAPS
#undef KERAS_BNN_RUN_STEPS
#undef KERAS_BNN_ASM

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_ARMV7_COUNT_H_
