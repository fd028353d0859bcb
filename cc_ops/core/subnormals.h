// Subnormal floats, which runtimes may have told the CPU to take for zero (TFLite does while it runs a model on 32-bit
// ARM). The file format promises the bits of IEEE 754.
#ifndef KERAS_BNN_CORE_SUBNORMALS_H_
#define KERAS_BNN_CORE_SUBNORMALS_H_

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace keras_bnn {

// The thread's floats have subnormal numbers as long as the object lives.
class KeepSubnormals {
 public:
  KeepSubnormals() : saved_(Mode()) { SetMode(saved_ & ~kFlushes); }
  ~KeepSubnormals() { SetMode(saved_); }
  KeepSubnormals(const KeepSubnormals&) = delete;
  KeepSubnormals& operator=(const KeepSubnormals&) = delete;

#if defined(__x86_64__) || defined(_M_X64)
  static constexpr std::uintptr_t kFlushes = 0x8040;  // flush to zero, and subnormal operands are zeros
  static std::uintptr_t Mode() { return _mm_getcsr(); }
  static void SetMode(std::uintptr_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
  static constexpr std::uintptr_t kFlushes = std::uintptr_t{1} << 24;
  static std::uintptr_t Mode() {
    std::uintptr_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void SetMode(std::uintptr_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#elif defined(__arm__) && defined(__ARM_FP)
  static constexpr std::uintptr_t kFlushes = std::uintptr_t{1} << 24;
  static std::uintptr_t Mode() {
    std::uintptr_t mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    return mode;
  }
  static void SetMode(std::uintptr_t mode) { __asm__ volatile("vmsr fpscr, %0" : : "r"(mode)); }
#else
  static constexpr std::uintptr_t kFlushes = 0;
  static std::uintptr_t Mode() { return 0; }
  static void SetMode(std::uintptr_t) {}
#endif

 private:
  std::uintptr_t saved_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_SUBNORMALS_H_
