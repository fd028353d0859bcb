// Instructions that do nothing, between which benchmarks/arm/count.c counts.
#ifndef KERAS_BNN_BENCH_MARKER_H_
#define KERAS_BNN_BENCH_MARKER_H_

namespace keras_bnn {

#if defined(__aarch64__)
inline void BeginCount() { __asm__ volatile("hint #96" ::: "memory"); }
inline void EndCount() { __asm__ volatile("hint #97" ::: "memory"); }
#elif defined(__arm__)
inline void BeginCount() { __asm__ volatile("dbg #14" ::: "memory"); }
inline void EndCount() { __asm__ volatile("dbg #15" ::: "memory"); }
#elif defined(__x86_64__)
// nopl 0x60606060(%rax), nopl 0x61616161(%rax)
inline void BeginCount() { __asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x60, 0x60, 0x60, 0x60" ::: "memory"); }
inline void EndCount() { __asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x61, 0x61, 0x61, 0x61" ::: "memory"); }
#else
inline void BeginCount() {}
inline void EndCount() {}
#endif

}  // namespace keras_bnn

#endif  // KERAS_BNN_BENCH_MARKER_H_
