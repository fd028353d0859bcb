#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/bit_range.h"

namespace keras_bnn {
namespace {

// A panel's table of pointers should stay in the L1 cache beside the weights of a block.
constexpr int kPanelPointers = 1024;
constexpr int kPanelPixels = 64;

constexpr int kTasksPerThread = 4;

// The row that taps outside the image read.
std::vector<Word> MakePaddingRow(const ConvLayer& layer) {
  std::vector<Word> row(layer.kernel.words, 0);
  if (layer.pad_value < 0) {
    for (int w = 0; w < layer.kernel.words; ++w) row[w] = LowBits(std::max(0, layer.kernel.channels - w * kWordBits));
  }
  return row;
}

}  // namespace

Conv2D::Conv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      kernel_(layer.kernel),
      offset_(layer.offset),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      packed_kernel_(PackForBits(layer.weights, kernel_)),
      padding_row_(MakePaddingRow(layer)) {
  if (layer.pad_value == 0) tap_sums_ = TapSums(layer.weights, kernel_);
}

void Conv2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
                    const std::vector<OperandShape>& operands) {
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  batch_ = batch;
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  const int tile = kernels_->tile_pixels;
  const int tiles = std::max(1, std::min(kPanelPixels, kPanelPointers / kernel_.taps) / tile);
  panel_pixels_ = tiles * tile;
  tap_offsets_.clear();
  for (int i = 0; i < vertical.size; ++i) {
    for (int j = 0; j < horizontal.size; ++j) {
      const std::int64_t pixel =
          std::int64_t{i} * vertical.dilation * horizontal.input + std::int64_t{j} * horizontal.dilation;
      tap_offsets_.push_back(pixel * PixelSize());
    }
  }
  Panel panel;
  panel.rows.resize(static_cast<std::size_t>(panel_pixels_) * kernel_.taps + kMaxTilePixels);
  panel.outside.reserve(static_cast<std::size_t>(panel_pixels_) * kernel_.taps);
  panel.outside_end.reserve(tiles);
  panels_.clear();
  for (int thread = 0; thread < threads; ++thread) {
    panels_.push_back(panel);
    panels_.back().outside.reserve(panel.outside.capacity());  // a copied vector has no room to spare
    panels_.back().outside_end.reserve(tiles);
  }
  if (kernel_.groups > 1 && kernel_.channels % kWordBits != 0) {
    regrouped_.resize(static_cast<std::size_t>(batch) * vertical.input * horizontal.input * kernel_.groups *
                      kernel_.words);
  }
}

const Word* Conv2D::Regroup(const Word* x, ThreadPool& pool) {
  const int words_in = WordsFor(kernel_.groups * kernel_.channels);
  const int words_out = kernel_.groups * kernel_.words;
  const auto rows = static_cast<int>(batch_ * vertical_.input);
  pool.ParallelFor(rows, threads_, [&](int row, int) {
    const std::int64_t first = std::int64_t{row} * horizontal_.input;
    for (std::int64_t pixel = first; pixel < first + horizontal_.input; ++pixel) {
      for (int group = 0; group < kernel_.groups; ++group) {
        ExtractBits(x + pixel * words_in, group * kernel_.channels, kernel_.channels,
                    regrouped_.data() + pixel * words_out + group * kernel_.words);
      }
    }
  });
  return regrouped_.data();
}

void Conv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  epilogue_.Bind(data);
  const auto* words = static_cast<const Word*>(x);
  if (!regrouped_.empty()) words = Regroup(words, pool);
  const std::int64_t pixels = batch_ * vertical_.output * horizontal_.output;
  const auto panels = static_cast<int>(CeilDiv<std::int64_t>(pixels, panel_pixels_));
  const int blocks = kernel_.blocks();
  const std::int64_t steps = pixels * blocks * kernel_.taps * kernel_.words;
  const auto threads = static_cast<int>(std::min<std::int64_t>(threads_, steps / kernels_->steps_per_thread + 1));

  int ranges = 1;  // of blocks
  if (threads > 1 && !epilogue_.SplitsWords()) ranges = std::min(blocks, CeilDiv(threads * kTasksPerThread, panels));
  pool.ParallelFor(panels * ranges, threads, [&](int task, int thread) {
    const std::int64_t first_pixel = std::int64_t{task / ranges} * panel_pixels_;
    const auto panel = static_cast<int>(std::min<std::int64_t>(panel_pixels_, pixels - first_pixel));
    const int range = task % ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * range / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (range + 1) / ranges);
    RunPanel(words, first_pixel, panel, first_block, end_block, &panels_[thread]);
  });
}

void Conv2D::RunPanel(const Word* x, std::int64_t first_pixel, int pixels, int first_block, int end_block,
                      Panel* panel) const {
  alignas(64) std::int32_t acc[kMaxTilePixels * kBlockChannels];
  const std::size_t block_words = static_cast<std::size_t>(kernel_.taps) * kernel_.words * kBlockChannels;
  const std::int32_t bits = kernel_.taps * kernel_.channels + offset_;
  if (epilogue_.SplitsWords()) epilogue_.ClearBits(first_pixel, pixels);
  int group = -1;
  for (int block = first_block; block < end_block; ++block) {
    if (block / kernel_.group_blocks() != group) {
      group = block / kernel_.group_blocks();
      FillRows(x + group * kernel_.words, first_pixel, pixels, panel);
    }
    const Word* packed = packed_kernel_.data() + block * block_words;
    for (int tile = 0; tile < pixels; tile += kernels_->tile_pixels) {
      const int count = std::min(kernels_->tile_pixels, pixels - tile);
      const Word* const* tile_rows = panel->rows.data() + static_cast<std::size_t>(tile) * kernel_.taps;
      kernels_->accumulate_bits(tile_rows, count, kernel_.taps, kernel_.words, packed, bits, acc);
      if (!tap_sums_.empty()) RemovePadding(*panel, tile / kernels_->tile_pixels, block, acc);
      epilogue_.Finish(acc, first_pixel + tile, count, block);
    }
  }
}

// Fills the panel's table for one group: x points at the group's first channel of the first pixel.
void Conv2D::FillRows(const Word* x, std::int64_t first_pixel, int pixels, Panel* panel) const {
  const std::int64_t pixel_size = PixelSize();
  const std::int64_t image_size = std::int64_t{vertical_.input} * horizontal_.input * pixel_size;
  auto column = static_cast<int>(first_pixel % horizontal_.output);
  auto row = static_cast<int>(first_pixel / horizontal_.output % vertical_.output);
  std::int64_t image = first_pixel / horizontal_.output / vertical_.output * image_size;
  panel->outside.clear();
  panel->outside_end.clear();
  for (int tile = 0; tile < pixels; tile += kernels_->tile_pixels) {
    const int count = std::min(kernels_->tile_pixels, pixels - tile);
    const Word** tile_rows = panel->rows.data() + static_cast<std::size_t>(tile) * kernel_.taps;
    const std::size_t outside_begin = panel->outside.size();
    std::int64_t origin[kMaxTilePixels] = {};  // of the window's first tap, in words from x; may lie outside the image
    for (int p = 0; p < count; ++p) {
      const int top = row * vertical_.stride - vertical_.pad;
      const int left = column * horizontal_.stride - horizontal_.pad;
      origin[p] = image + (std::int64_t{top} * horizontal_.input + left) * pixel_size;
      if (!vertical_.Covers(top) || !horizontal_.Covers(left)) ListTapsOutside(top, left, p, &panel->outside);
      if (++column == horizontal_.output) {
        column = 0;
        if (++row == vertical_.output) {
          row = 0;
          image += image_size;
        }
      }
    }
    for (int tap = 0; tap < kernel_.taps; ++tap) {
      const Word** tap_rows = tile_rows + static_cast<std::size_t>(tap) * count;
      // A constant number of pointers, for the compiler; those past the tile's last pixel are overwritten by the next
      // tap.
      for (int p = 0; p < kMaxTilePixels; ++p) tap_rows[p] = x + (origin[p] + tap_offsets_[tap]);
    }
    for (std::size_t i = outside_begin; i < panel->outside.size(); ++i) {
      tile_rows[static_cast<std::size_t>(panel->outside[i].tap) * count + panel->outside[i].pixel] =
          padding_row_.data();
    }
    panel->outside_end.push_back(panel->outside.size());
  }
}

void Conv2D::ListTapsOutside(int top, int left, int pixel, std::vector<TapOutside>* outside) const {
  int tap = 0;
  for (int i = 0; i < vertical_.size; ++i) {
    const bool row_inside = vertical_.Contains(top + i * vertical_.dilation);
    for (int j = 0; j < horizontal_.size; ++j, ++tap) {
      if (!row_inside || !horizontal_.Contains(left + j * horizontal_.dilation)) outside->push_back({tap, pixel});
    }
  }
}

// The kernel has read +1 from the taps outside the image, and they should add 0.
void Conv2D::RemovePadding(const Panel& panel, int tile_index, int block, std::int32_t* acc) const {
  const std::size_t begin = tile_index == 0 ? 0 : panel.outside_end[tile_index - 1];
  const std::int32_t* sums = tap_sums_.data() + static_cast<std::size_t>(block) * kernel_.taps * kBlockChannels;
  for (std::size_t i = begin; i < panel.outside_end[tile_index]; ++i) {
    const std::int32_t* tap_sums = sums + static_cast<std::size_t>(panel.outside[i].tap) * kBlockChannels;
    std::int32_t* pixel_acc = acc + panel.outside[i].pixel * kBlockChannels;
    for (int c = 0; c < kBlockChannels; ++c) pixel_acc[c] -= tap_sums[c];
  }
}

}  // namespace keras_bnn
