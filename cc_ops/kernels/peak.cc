#include "kernels/peak.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "core/clock.h"

namespace keras_bnn {
namespace {

// Of a pixel: long sums, whose beginning and end take no time, of 20 KiB together with their weights.
constexpr int kWords = 128;
constexpr int kValues = 512;

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
    } catch (const std::system_error&) {
      // The system has no more threads to give.
    }
    repeat();
    for (std::thread& other : others) other.join();
    best = std::max(best, work * static_cast<double>(calls) / static_cast<double>(Nanoseconds() - begin) * 1e9);
  }
  return best;
}

// Adjacent rows, one for each pixel of a tile.
template <typename T>
std::vector<const T*> Rows(const std::vector<T>& x, int pixels) {
  std::vector<const T*> rows;
  for (int pixel = 0; pixel < pixels; ++pixel) rows.push_back(x.data() + x.size() / pixels * pixel);
  return rows;
}

}  // namespace

double MeasurePeak(const KernelSet& kernels, PeakInput input, int threads) {
  const int pixels = kernels.tile_pixels;
  if (input == PeakInput::kBits) {
    const std::vector<Word> x(static_cast<std::size_t>(pixels) * kWords, 0x0f3355aa);
    const std::vector<Word> weights(kWords * kBlockChannels, 0x3c5a6996);
    const auto rows = Rows(x, pixels);
    const std::int32_t values[kBlockChannels] = {};
    const int value_rows[kMaxTilePixels] = {};
    const BinaryTile tile = {rows.data(), pixels, 1, kWords, weights.data(), values, value_rows};
    return Rate(1.0 * pixels * kWords * kWordBits * kBlockChannels, threads, [&] {
      std::int32_t acc[kMaxTilePixels * kBlockChannels];
      kernels.accumulate_bits(tile, acc);
    });
  }
  const double work = 1.0 * pixels * kValues * kBlockChannels;
  const std::vector<Word> weights(kValues, 0x3c5a6996);
  if (input == PeakInput::kFloat32) {
    const std::vector<float> x(static_cast<std::size_t>(pixels) * kValues, 0.75f);
    const auto rows = Rows(x, pixels);
    return Rate(work, threads, [&] {
      float acc[kMaxTilePixels * kBlockChannels];
      kernels.accumulate_float(rows.data(), pixels, 1, kValues, weights.data(), acc);
    });
  }
  const std::vector<std::int8_t> x(static_cast<std::size_t>(pixels) * kValues, -5);
  const auto rows = Rows(x, pixels);
  return Rate(work, threads, [&] {
    std::int32_t acc[kMaxTilePixels * kBlockChannels];
    kernels.accumulate_int8(rows.data(), pixels, 1, kValues, weights.data(), 3, acc);
  });
}

}  // namespace keras_bnn
