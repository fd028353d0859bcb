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
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    for (int p = 0; p < P; ++p) {
      std::int32_t counts[kBlockChannels] = {};
      const Word* k = tile.kernel;
      for (int tap = 0; tap < tile.taps; ++tap) {
        const Word* x = tile.rows[tap * kMaxTilePixels + p];
        for (int w = 0; w < tile.words; ++w, k += kBlockChannels) {
          for (int i = 0; i < kBlockChannels; ++i) counts[i] += PopCount(x[w] ^ k[i]);
        }
      }
      finish(p, StoredCounts<ScalarLanes>{counts});
    }
  }
};

}  // namespace

extern const KernelSet kScalarKernels = KernelSetOf<ScalarLanes, CountTile, ScalarReal>::Named("scalar", 1 << 13);

}  // namespace keras_bnn
