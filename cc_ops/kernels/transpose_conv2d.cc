#include "kernels/transpose_conv2d.h"

#include <algorithm>
#include <cstring>

#include "core/element_count.h"

namespace keras_bnn {
namespace {

// Output pixels of a panel; its accumulators of one block should stay in the L1 cache.
constexpr int kPanelPixels = 64;

constexpr int kTasksPerThread = 4;

}  // namespace

TransposeConv2D::TransposeConv2D(const KernelSet& kernels, const ConvLayer& layer, const TransposedWindow& vertical,
                                 const TransposedWindow& horizontal)
    : kernels_(&kernels),
      kernel_(layer.kernel),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      phase_rows_(std::min(vertical.stride, vertical.size)),
      phase_columns_(std::min(horizontal.stride, horizontal.size)),
      padding_row_(kernel_.words, Word{0}) {
  for (int i = 0; i < phase_rows_; ++i) {
    for (int j = 0; j < phase_columns_; ++j) {
      Phase phase = {vertical.TapsOf(i), horizontal.TapsOf(j), {}, {}};
      std::vector<Word> weights;  // [O][tap of the phase][word]
      for (int o = 0; o < kernel_.channels_out; ++o) {
        for (int row = i; row < vertical.size; row += vertical.stride) {
          for (int column = j; column < horizontal.size; column += horizontal.stride) {
            const int tap = row * horizontal.size + column;
            const Word* from = layer.weights + (static_cast<std::size_t>(o) * kernel_.taps + tap) * kernel_.words;
            weights.insert(weights.end(), from, from + kernel_.words);
          }
        }
      }
      KernelShape shape = kernel_;
      shape.taps = phase.taps();
      phase.packed = PackForBits(kernels, weights.data(), shape);
      phase.sums = TapSums(weights.data(), shape);
      phases_.push_back(std::move(phase));
    }
  }
}

void TransposeConv2D::Resize(std::int64_t batch, const TransposedWindow& vertical, const TransposedWindow& horizontal,
                             int threads, const std::vector<OperandShape>& operands) {
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  batch_ = batch;
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  const int pixels = std::min(kPanelPixels, horizontal.output);
  const int tiles = pixels / kMaxTilePixels + std::min(pixels, horizontal.stride);         // at most
  const int tiles_with_taps = pixels / kMaxTilePixels + std::min(pixels, phase_columns_);  // the same
  int taps = 0;  // in the image, of the phase with the most
  for (const Phase& phase : phases_) taps = std::max(taps, std::min(phase.rows, vertical.input) * phase.columns);
  panels_.resize(threads);
  for (Panel& panel : panels_) {
    panel.tiles.reserve(tiles);
    panel.rows.reserve(
        ElementCount("the addresses of a panel", sizeof(Word*), {tiles_with_taps, kMaxTilePixels, taps}));
    panel.outside.reserve(ElementCount("the taps of a panel", sizeof(TapOutside), {pixels, taps}));
    panel.acc.resize(static_cast<std::size_t>(pixels) * kBlockChannels);
  }
}

MemoryUse TransposeConv2D::Memory() const {
  MemoryUse memory;
  for (const Phase& phase : phases_) memory.weights += phase.packed.bytes() + phase.sums.bytes();
  for (const Panel& panel : panels_) {
    memory.scratch += BytesIn(panel.tiles) + BytesIn(panel.rows) + BytesIn(panel.outside) + BytesIn(panel.acc);
  }
  return memory;
}

void TransposeConv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  epilogue_.Bind(data);
  const int panels_of_row = CeilDiv(horizontal_.output, kPanelPixels);
  const auto panels = static_cast<int>(batch_ * vertical_.output * panels_of_row);
  const int blocks = kernel_.blocks();
  const std::int64_t steps = batch_ * vertical_.input * horizontal_.input * blocks * kernel_.taps * kernel_.words;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);
  const int ranges =  // of blocks
      threads > 1 && panels > 0 ? std::min(blocks, CeilDiv(threads * kTasksPerThread, panels)) : 1;
  const std::int64_t image_size = std::int64_t{vertical_.input} * horizontal_.input * kernel_.words;
  pool.ParallelFor(panels * ranges, threads, [&](int task, int thread) {
    const int row = task / ranges / panels_of_row;
    const int first_column = task / ranges % panels_of_row * kPanelPixels;
    const int columns = std::min(kPanelPixels, horizontal_.output - first_column);
    const auto first_block = static_cast<int>(std::int64_t{blocks} * (task % ranges) / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (task % ranges + 1) / ranges);
    Panel* panel = &panels_[thread];
    FillTiles(static_cast<const Word*>(x) + row / vertical_.output * image_size, row % vertical_.output, first_column,
              columns, panel);
    RunPanel(std::int64_t{row} * horizontal_.output + first_column, columns, first_block, end_block, panel);
  });
}

// Lists the panel's tiles: x points at the image.
void TransposeConv2D::FillTiles(const Word* x, int row, int first_column, int columns, Panel* panel) const {
  panel->tiles.clear();
  panel->rows.clear();
  panel->outside.clear();
  const int phase_row = vertical_.Phase(row);
  const int first_line = vertical_.First(row);
  const int first_row = std::max(0, first_line - vertical_.input + 1);  // of taps that lie in the image
  const int end_row = std::min(vertical_.TapsOf(phase_row), first_line + 1);
  const int rows = std::max(0, end_row - first_row);
  const Word* line = x + std::int64_t{rows == 0 ? 0 : first_line - first_row} * horizontal_.input * kernel_.words;
  const int strides = std::min(horizontal_.stride, columns);
  for (int start = 0; start < strides; ++start) {
    const Phase& phase = PhaseAt(phase_row, horizontal_.Phase(first_column + start));
    const int pixels = (columns - 1 - start) / horizontal_.stride + 1;
    for (int first = 0; first < pixels; first += kMaxTilePixels) {
      AddTile(line, phase, first_row * phase.columns, rows * phase.columns, first_column,
              start + first * horizontal_.stride, std::min(kMaxTilePixels, pixels - first), panel);
    }
  }
}

// `line` is the row of the image under the first row of taps; the further rows of taps lie above it.
void TransposeConv2D::AddTile(const Word* line, const Phase& phase, int first_tap, int taps, int first_column,
                              int pixel, int pixels, Panel* panel) const {
  Tile tile = {&phase, first_tap, taps, pixel, pixels, panel->rows.size(), 0};
  for (int tap = 0; tap < taps; ++tap) {
    const Word* tap_line = line - std::int64_t{tap / phase.columns} * horizontal_.input * kernel_.words;
    for (int p = 0; p < pixels; ++p) {
      const int position = horizontal_.First(first_column + pixel + p * horizontal_.stride) - tap % phase.columns;
      const bool inside = horizontal_.Contains(position);
      panel->rows.push_back(inside ? tap_line + std::int64_t{position} * kernel_.words : padding_row_.data());
      if (!inside) panel->outside.push_back({tap, p});
    }
    panel->rows.resize(panel->rows.size() + kMaxTilePixels - pixels);
  }
  tile.outside_end = panel->outside.size();
  panel->tiles.push_back(tile);
}

void TransposeConv2D::RunPanel(std::int64_t first_pixel, int pixels, int first_block, int end_block,
                               Panel* panel) const {
  for (int block = first_block; block < end_block; ++block) {
    std::size_t outside = 0;
    for (const Tile& tile : panel->tiles) {
      Accumulate(tile, outside, block, panel);
      outside = tile.outside_end;
    }
    for (int first = 0; first < pixels; first += kMaxTilePixels) {
      epilogue_.Finish(panel->acc.data() + static_cast<std::size_t>(first) * kBlockChannels, first_pixel + first,
                       std::min(kMaxTilePixels, pixels - first), block);
    }
  }
}

void TransposeConv2D::Accumulate(const Tile& tile, std::size_t outside_begin, int block, Panel* panel) const {
  alignas(64) std::int32_t acc[kMaxTilePixels * kBlockChannels] = {};
  const Phase& phase = *tile.phase;
  const std::size_t first_tap = static_cast<std::size_t>(block) * phase.taps() + tile.first_tap;
  if (tile.taps > 0) {
    std::int32_t values[kBlockChannels];
    std::fill_n(values, kBlockChannels, tile.taps * kernel_.channels);
    constexpr int kValueRows[kMaxTilePixels] = {};
    const Word* packed = phase.packed.data() + first_tap * kernel_.words * kBlockChannels;
    kernels_->accumulate_bits(
        {panel->rows.data() + tile.rows, tile.pixels, tile.taps, kernel_.words, packed, values, kValueRows}, acc);
  }
  // The taps beside the image have read +1, and they should add 0.
  for (std::size_t i = outside_begin; i < tile.outside_end; ++i) {
    const std::int32_t* sums = phase.sums.data() + (first_tap + panel->outside[i].tap) * kBlockChannels;
    std::int32_t* pixel_acc = acc + panel->outside[i].pixel * kBlockChannels;
    for (int c = 0; c < kBlockChannels; ++c) pixel_acc[c] -= sums[c];
  }
  for (int p = 0; p < tile.pixels; ++p) {
    const std::size_t pixel =
        static_cast<std::size_t>(tile.first_pixel) + static_cast<std::size_t>(p) * horizontal_.stride;
    std::memcpy(panel->acc.data() + pixel * kBlockChannels, acc + p * kBlockChannels,
                kBlockChannels * sizeof(std::int32_t));
  }
}

}  // namespace keras_bnn
