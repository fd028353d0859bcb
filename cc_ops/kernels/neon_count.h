// The inner loop of NEON's functions for binary x, in assembly: GCC 12 spills counters around the loads of several
// registers, which are what saves instructions here.
//
// Two pixels times the 32 channels of a block. Registers: 16 byte counters, 8 words of x (4 of each pixel, each in all
// lanes, loaded by one ld4r), 4 vectors of the kernel (one ld1), 4 temporaries. Per word and vector of 4 channels: eor,
// cnt, add. The first word of a run sets the counters, which saves clearing them.
#ifndef KERAS_BNN_KERNELS_NEON_COUNT_H_
#define KERAS_BNN_KERNELS_NEON_COUNT_H_

#include <arm_neon.h>

#include "core/layout.h"

namespace keras_bnn {
namespace {

constexpr int kCountPixels = 2;
constexpr int kCountVectors = 8;

// Where a run goes on: x of both pixels, and the steps that are left of the present tap.
struct CountPosition {
  const Word* const* rows;  // of the next tap
  const Word* kernel;
  const Word* x0 = nullptr;
  const Word* x1 = nullptr;
  int left = 0;
};

// clang-format off

// The vectors ka and kb of the kernel, with the words in registers x0 and x1 of the two pixels.
#define KERAS_BNN_DIFFER(x0, x1, ka, kb)                 \
  "eor v20.16b, v" x0 ".16b, v" ka ".16b\n"              \
  "eor v21.16b, v" x1 ".16b, v" ka ".16b\n"              \
  "eor v22.16b, v" x0 ".16b, v" kb ".16b\n"              \
  "eor v23.16b, v" x1 ".16b, v" kb ".16b\n"

// The bits that differ, to the counters a and b.
#define KERAS_BNN_SET(a, b)                              \
  "cnt %[p" a "].16b, v20.16b\n"                         \
  "cnt %[q" a "].16b, v21.16b\n"                         \
  "cnt %[p" b "].16b, v22.16b\n"                         \
  "cnt %[q" b "].16b, v23.16b\n"
#define KERAS_BNN_ADD(a, b)                              \
  "cnt v20.16b, v20.16b\n"                               \
  "cnt v21.16b, v21.16b\n"                               \
  "cnt v22.16b, v22.16b\n"                               \
  "cnt v23.16b, v23.16b\n"                               \
  "add %[p" a "].16b, %[p" a "].16b, v20.16b\n"          \
  "add %[q" a "].16b, %[q" a "].16b, v21.16b\n"          \
  "add %[p" b "].16b, %[p" b "].16b, v22.16b\n"          \
  "add %[q" b "].16b, %[q" b "].16b, v23.16b\n"

#define KERAS_BNN_LOAD_KERNEL "ld1 {v16.4s-v19.4s}, [%[kernel]], #64\n"
#define KERAS_BNN_LOAD2                                  \
  "ld2r {v0.4s-v1.4s}, [%[x0]], #8\n"                    \
  "ld2r {v4.4s-v5.4s}, [%[x1]], #8\n"                    \
  KERAS_BNN_LOAD_KERNEL
#define KERAS_BNN_LOAD4                                  \
  "ld4r {v0.4s-v3.4s}, [%[x0]], #16\n"                   \
  "ld4r {v4.4s-v7.4s}, [%[x1]], #16\n"                   \
  KERAS_BNN_LOAD_KERNEL

// Words of x, which are loaded, as the first half of their kernel is. The loads that come NEXT start as soon as the
// registers are free, before the last counts: CPUs that run instructions in order would wait for them else.
#define KERAS_BNN_WORD(COUNT, x0, x1, NEXT)              \
  KERAS_BNN_DIFFER(x0, x1, "16", "17")                   \
  COUNT("0", "1")                                        \
  KERAS_BNN_DIFFER(x0, x1, "18", "19")                   \
  KERAS_BNN_LOAD_KERNEL                                  \
  COUNT("2", "3")                                        \
  KERAS_BNN_DIFFER(x0, x1, "16", "17")                   \
  COUNT("4", "5")                                        \
  KERAS_BNN_DIFFER(x0, x1, "18", "19")                   \
  NEXT                                                   \
  COUNT("6", "7")
#define KERAS_BNN_WORDS2(FIRST, NEXT)                    \
  KERAS_BNN_WORD(FIRST, "0", "4", KERAS_BNN_LOAD_KERNEL) \
  KERAS_BNN_WORD(KERAS_BNN_ADD, "1", "5", NEXT)
#define KERAS_BNN_WORDS4(FIRST, NEXT)                    \
  KERAS_BNN_WORDS2(FIRST, KERAS_BNN_LOAD_KERNEL)         \
  KERAS_BNN_WORD(KERAS_BNN_ADD, "2", "6", KERAS_BNN_LOAD_KERNEL) \
  KERAS_BNN_WORD(KERAS_BNN_ADD, "3", "7", NEXT)

// A step: 1, 2, 3, 4, 6 or 12 words of x.
#define KERAS_BNN_STEP1(FIRST)                           \
  "ld1r {v0.4s}, [%[x0]], #4\n"                          \
  "ld1r {v4.4s}, [%[x1]], #4\n"                          \
  KERAS_BNN_LOAD_KERNEL                                  \
  KERAS_BNN_WORD(FIRST, "0", "4", "")
#define KERAS_BNN_STEP2(FIRST)                           \
  KERAS_BNN_LOAD2                                        \
  KERAS_BNN_WORDS2(FIRST, "")
#define KERAS_BNN_STEP3(FIRST)                           \
  "ld3r {v0.4s-v2.4s}, [%[x0]], #12\n"                   \
  "ld3r {v4.4s-v6.4s}, [%[x1]], #12\n"                   \
  KERAS_BNN_LOAD_KERNEL                                  \
  KERAS_BNN_WORDS2(FIRST, KERAS_BNN_LOAD_KERNEL)         \
  KERAS_BNN_WORD(KERAS_BNN_ADD, "2", "6", "")
#define KERAS_BNN_STEP4(FIRST)                           \
  KERAS_BNN_LOAD4                                        \
  KERAS_BNN_WORDS4(FIRST, "")
#define KERAS_BNN_STEP6(FIRST)                           \
  KERAS_BNN_LOAD4                                        \
  KERAS_BNN_WORDS4(FIRST, KERAS_BNN_LOAD2)               \
  KERAS_BNN_WORDS2(KERAS_BNN_ADD, "")
#define KERAS_BNN_STEP12(FIRST)                          \
  KERAS_BNN_LOAD4                                        \
  KERAS_BNN_WORDS4(FIRST, KERAS_BNN_LOAD4)               \
  KERAS_BNN_WORDS4(KERAS_BNN_ADD, KERAS_BNN_LOAD4)       \
  KERAS_BNN_WORDS4(KERAS_BNN_ADD, "")

// The pointers of a tap, from a table whose taps lie kStride bytes apart, or %[stride].
#define KERAS_BNN_NEXT_AT_CONSTANT "ldp %[x0], %[x1], [%[rows]], %[stride]\n"
#define KERAS_BNN_NEXT_AT_REGISTER                       \
  "ldp %[x0], %[x1], [%[rows]]\n"                        \
  "add %[rows], %[rows], %[stride]\n"

// Taps of one step each. After the first one, two at a time.
#define KERAS_BNN_RUN_TAPS(STEP)                         \
  KERAS_BNN_NEXT_AT_CONSTANT                             \
  STEP(KERAS_BNN_SET)                                    \
  "subs %w[room], %w[room], #1\n"                        \
  "b.eq 3f\n"                                            \
  "tbz %w[room], #0, 2f\n"                               \
  "add %w[room], %w[room], #1\n"                         \
  "b 1f\n"                                               \
  "2:\n"                                                 \
  KERAS_BNN_NEXT_AT_CONSTANT                             \
  STEP(KERAS_BNN_ADD)                                    \
  "1:\n"                                                 \
  KERAS_BNN_NEXT_AT_CONSTANT                             \
  STEP(KERAS_BNN_ADD)                                    \
  "subs %w[room], %w[room], #2\n"                        \
  "b.ne 2b\n"                                            \
  "3:\n"

// Taps of several steps: a run may begin and end inside a tap. No pointer is read past the last tap's.
#define KERAS_BNN_RUN_STEPS(STEP, NEXT_TAP)              \
  "cbnz %w[left], 1f\n"                                  \
  NEXT_TAP                                               \
  "mov %w[left], %w[steps]\n"                            \
  "1:\n"                                                 \
  STEP(KERAS_BNN_SET)                                    \
  "b 3f\n"                                               \
  "2:\n"                                                 \
  STEP(KERAS_BNN_ADD)                                    \
  "3:\n"                                                 \
  "sub %w[left], %w[left], #1\n"                         \
  "subs %w[room], %w[room], #1\n"                        \
  "b.eq 4f\n"                                            \
  "cbnz %w[left], 2b\n"                                  \
  NEXT_TAP                                               \
  "mov %w[left], %w[steps]\n"                            \
  "b 2b\n"                                               \
  "4:\n"

#define KERAS_BNN_ASM(TEXT, STRIDE)                                                                                    \
  __asm__(TEXT                                                                                                    \
          : [p0] "=&w"(counts[0][0]), [p1] "=&w"(counts[0][1]), [p2] "=&w"(counts[0][2]),                         \
            [p3] "=&w"(counts[0][3]), [p4] "=&w"(counts[0][4]), [p5] "=&w"(counts[0][5]),                         \
            [p6] "=&w"(counts[0][6]), [p7] "=&w"(counts[0][7]), [q0] "=&w"(counts[1][0]),                         \
            [q1] "=&w"(counts[1][1]), [q2] "=&w"(counts[1][2]), [q3] "=&w"(counts[1][3]),                         \
            [q4] "=&w"(counts[1][4]), [q5] "=&w"(counts[1][5]), [q6] "=&w"(counts[1][6]),                         \
            [q7] "=&w"(counts[1][7]), [rows] "+r"(at->rows), [kernel] "+r"(at->kernel), [x0] "+r"(at->x0),        \
            [x1] "+r"(at->x1), [left] "+r"(at->left), [room] "+r"(room)                                           \
          : [steps] "r"(steps), [stride] STRIDE(stride)                                                               \
          : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22",      \
            "v23", "cc", "memory")

// clang-format on

// Counts, per byte, the bits that differ in the next `room` steps of kStep words, at least one and at most 31 words.
// A tap has `steps` steps, and its pointers lie `stride` bytes after those of the tap before.
template <int kStep>
inline __attribute__((always_inline)) void CountSteps(int steps, std::int64_t stride, int room, CountPosition* at,
                                                      uint8x16_t (&counts)[kCountPixels][kCountVectors]) {
  static_assert(kStep == 1 || kStep == 2 || kStep == 3 || kStep == 4 || kStep == 12);
  if constexpr (kStep == 1) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP1, KERAS_BNN_NEXT_AT_REGISTER), "r");
  } else if constexpr (kStep == 2) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP2, KERAS_BNN_NEXT_AT_REGISTER), "r");
  } else if constexpr (kStep == 3) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP3, KERAS_BNN_NEXT_AT_REGISTER), "r");
  } else if constexpr (kStep == 4) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP4, KERAS_BNN_NEXT_AT_REGISTER), "r");
  } else {
    KERAS_BNN_ASM(KERAS_BNN_RUN_STEPS(KERAS_BNN_STEP12, KERAS_BNN_NEXT_AT_REGISTER), "r");
  }
}

// The same for taps of one step.
template <int kStep, int kStride>
inline __attribute__((always_inline)) void CountTaps(int room, CountPosition* at,
                                                     uint8x16_t (&counts)[kCountPixels][kCountVectors]) {
  static_assert(kStep == 2 || kStep == 4 || kStep == 6 || kStep == 12);
  constexpr int steps = 1, stride = kStride;
  if constexpr (kStep == 2) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP2), "i");
  } else if constexpr (kStep == 4) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP4), "i");
  } else if constexpr (kStep == 6) {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP6), "i");
  } else {
    KERAS_BNN_ASM(KERAS_BNN_RUN_TAPS(KERAS_BNN_STEP12), "i");
  }
}

#undef KERAS_BNN_DIFFER
#undef KERAS_BNN_SET
#undef KERAS_BNN_ADD
#undef KERAS_BNN_LOAD_KERNEL
#undef KERAS_BNN_LOAD2
#undef KERAS_BNN_LOAD4
#undef KERAS_BNN_WORD
#undef KERAS_BNN_WORDS2
#undef KERAS_BNN_WORDS4
#undef KERAS_BNN_STEP1
#undef KERAS_BNN_STEP2
#undef KERAS_BNN_STEP3
#undef KERAS_BNN_STEP4
#undef KERAS_BNN_STEP6
#undef KERAS_BNN_STEP12
#undef KERAS_BNN_NEXT_AT_CONSTANT
#undef KERAS_BNN_NEXT_AT_REGISTER
#undef KERAS_BNN_RUN_TAPS
#undef KERAS_BNN_RUN_STEPS
#undef KERAS_BNN_ASM

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_COUNT_H_
