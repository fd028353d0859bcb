// The portable kernel set: plain C++, the yardstick of all others.
#include "kernels/lanes.h"
#include "kernels/scalar_real.h"

namespace keras_bnn {
namespace {

struct ScalarLanes {
  static Word NegativeBits(const float* x) {
    Word bits = 0;
    for (int i = 0; i < kWordBits; ++i) bits |= static_cast<Word>(x[i] < 0.0f) << i;
    return bits;
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    Word bits = 0;
    for (int i = 0; i < kWordBits; ++i) bits |= static_cast<Word>(a[i] < b[i]) << i;
    return bits;
  }
};

// Sums of 2, 4, 8 and then all bits; compilers vectorise it, which they do not for a call of __builtin_popcount.
std::int32_t PopCount(Word x) {
  x = x - ((x >> 1) & 0x55555555u);
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0fu;
  return static_cast<std::int32_t>((x * 0x01010101u) >> 24);
}

template <int P>
struct BitsTile {
  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    for (int p = 0; p < P; ++p, acc += kBlockChannels) {
      std::int32_t mismatches[kBlockChannels] = {};
      const Word* k = kernel;
      for (int tap = 0; tap < taps; ++tap) {
        const Word* x = rows[tap * P + p];
        for (int w = 0; w < words; ++w, k += kBlockChannels) {
          for (int i = 0; i < kBlockChannels; ++i) mismatches[i] += PopCount(x[w] ^ k[i]);
        }
      }
      for (int i = 0; i < kBlockChannels; ++i) acc[i] = bits - 2 * mismatches[i];
    }
  }
};

}  // namespace

extern const KernelSet kScalarKernels = KernelSetOf<ScalarLanes, 4, BitsTile, ScalarReal>::Named("scalar", 1 << 13);

}  // namespace keras_bnn
