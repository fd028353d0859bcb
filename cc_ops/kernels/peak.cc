#include "kernels/peak.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "core/clock.h"

namespace keras_bnn {
namespace {

// Sums that are long beside their beginning and end, with all that they read in 20 KiB.
constexpr int kWords = 128;  // of a pixel
constexpr int kValues = 64;  // of a pixel of real x, whose weights are expanded
constexpr int kPixels = 32;  // of real x

constexpr std::uint64_t kWindowNanoseconds = 10000000;  // beside which the start of the threads is short
constexpr int kWindows = 5;
constexpr int kCallsPerLook = 16;  // at the clock

// Multiply-accumulates per second of a call that does `work` of them; those of the best window, because other programs
// can only slow one down.
template <typename Call>
double Rate(double work, int threads, const Call& call) {
  double best = 0;
  for (int window = 0; window < kWindows; ++window) {
    std::atomic<std::int64_t> calls{0};
    const std::uint64_t begin = Nanoseconds();
    const auto repeat = [&] {
      std::int64_t done = 0;
      while (Nanoseconds() - begin < kWindowNanoseconds) {
        for (int i = 0; i < kCallsPerLook; ++i) call();
        done += kCallsPerLook;
      }
      calls += done;
    };
    std::vector<std::thread> others;
    try {
      while (static_cast<int>(others.size()) < threads - 1) others.emplace_back(repeat);
    } catch (const std::exception&) {
      // The system has no more threads, or no more memory, to give.
    }
    repeat();
    for (std::thread& other : others) other.join();
    best = std::max(best, work * static_cast<double>(calls) / static_cast<double>(Nanoseconds() - begin) * 1e9);
  }
  return best;
}

double MeasureBits(const KernelSet& kernels, int threads) {
  const std::vector<Word> x(static_cast<std::size_t>(kMaxTilePixels) * kWords, 0x0f3355aa);
  const std::vector<Word> weights(static_cast<std::size_t>(kWords) * kBlockChannels, 0x3c5a6996);
  const Word* rows[kMaxTilePixels];
  for (int pixel = 0; pixel < kMaxTilePixels; ++pixel) rows[pixel] = x.data() + std::ptrdiff_t{pixel} * kWords;
  const std::int32_t values[kBlockChannels] = {};
  const int value_rows[kMaxTilePixels] = {};
  const BinaryTile tile = {rows, kMaxTilePixels, 1, kWords, weights.data(), values, value_rows};
  return Rate(1.0 * kMaxTilePixels * kWords * kWordBits * kBlockChannels, threads, [&] {
    std::int32_t acc[kMaxTilePixels * kBlockChannels];
    kernels.accumulate_bits(tile, acc);
  });
}

template <typename X, typename Acc>
double MeasureReal(const RealKernels<X, Acc>& kernels, int threads) {
  const std::vector<X> x(kPixels * kValues + kReadAhead, 3);
  const std::vector<Word> weights(kValues, 0x3c5a6996);
  std::vector<unsigned char> expanded(kernels.ExpandedBytes(1, kValues));
  kernels.expand(weights.data(), 1, kValues, expanded.data());
  const X* row = x.data();
  const RealRows<X> rows = {&row, 1, kValues, 0, kValues};
  const Acc start[kBlockChannels] = {};
  return Rate(1.0 * kPixels * kValues * kBlockChannels, threads, [&] {
    Acc acc[kPixels * kBlockChannels];
    kernels.accumulate(rows, kPixels, expanded.data(), start, 0, acc);
  });
}

}  // namespace

double MeasurePeak(const KernelSet& kernels, PeakInput input, int threads) {
  switch (input) {
    case PeakInput::kBits:
      return MeasureBits(kernels, threads);
    case PeakInput::kFloat32:
      return MeasureReal(kernels.floats, threads);
    case PeakInput::kInt8:
      return MeasureReal(kernels.bytes, threads);
  }
  return 0;
}

}  // namespace keras_bnn
