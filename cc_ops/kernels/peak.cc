#include "kernels/peak.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/clock.h"

namespace keras_bnn {
namespace {

// Of a pixel: long sums, whose beginning and end take no time, of 20 KiB together with their weights.
constexpr int kWords = 128;
constexpr int kValues = 512;

constexpr std::uint64_t kBlockNanoseconds = 1000000;  // beside which the start of the threads is short
constexpr int kBlocks = 20;

// Multiply-accumulates per second of a call that does `work` of them; the fastest of many blocks, because other
// programs can only slow one down.
template <typename Call>
double Rate(double work, int threads, ThreadPool* pool, const Call& call) {
  double best = 0;
  int calls = 1;
  for (int block = 0; block < kBlocks;) {
    const std::uint64_t begin = Nanoseconds();
    pool->ParallelFor(threads, threads, [&](int, int) {
      for (int i = 0; i < calls; ++i) call();
    });
    const std::uint64_t took = Nanoseconds() - begin;
    if (took < kBlockNanoseconds) {
      calls *= 2;
      continue;
    }
    best = std::max(best, work * calls * threads / static_cast<double>(took) * 1e9);
    ++block;
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

double MeasurePeak(const KernelSet& kernels, PeakInput input, int threads, ThreadPool* pool) {
  pool->Grow(threads);
  const int pixels = kernels.tile_pixels;
  if (input == PeakInput::kBits) {
    const std::vector<Word> x(static_cast<std::size_t>(pixels) * kWords, 0x0f3355aa);
    const std::vector<Word> weights(kWords * kBlockChannels, 0x3c5a6996);
    const auto rows = Rows(x, pixels);
    return Rate(1.0 * pixels * kWords * kWordBits * kBlockChannels, threads, pool, [&] {
      std::int32_t acc[kMaxTilePixels * kBlockChannels];
      kernels.accumulate_bits(rows.data(), pixels, 1, kWords, weights.data(), kWords * kWordBits, acc);
    });
  }
  const double work = 1.0 * pixels * kValues * kBlockChannels;
  const std::vector<Word> weights(kValues, 0x3c5a6996);
  if (input == PeakInput::kFloat32) {
    const std::vector<float> x(static_cast<std::size_t>(pixels) * kValues, 0.75f);
    const auto rows = Rows(x, pixels);
    return Rate(work, threads, pool, [&] {
      float acc[kMaxTilePixels * kBlockChannels];
      kernels.accumulate_float(rows.data(), pixels, 1, kValues, weights.data(), acc);
    });
  }
  const std::vector<std::int8_t> x(static_cast<std::size_t>(pixels) * kValues, -5);
  const auto rows = Rows(x, pixels);
  return Rate(work, threads, pool, [&] {
    std::int32_t acc[kMaxTilePixels * kBlockChannels];
    kernels.accumulate_int8(rows.data(), pixels, 1, kValues, weights.data(), 3, acc);
  });
}

}  // namespace keras_bnn
