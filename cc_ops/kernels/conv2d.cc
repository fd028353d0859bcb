#include "kernels/conv2d.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/bit_range.h"

namespace keras_bnn {
namespace {

// A panel's table of pointers should stay in the L1 cache beside the weights of a block.
constexpr int kPanelPointers = 1024;
constexpr int kPanelPixels = 64;

constexpr int kTasksPerThread = 4;

template <typename X>
std::vector<unsigned char> MakeRow(int elements, X value) {
  std::vector<unsigned char> row(elements * sizeof(X));
  for (int i = 0; i < elements; ++i) std::memcpy(row.data() + i * sizeof(X), &value, sizeof(X));
  return row;
}

// The row that taps outside the image read.
std::vector<unsigned char> MakePaddingRow(const ConvLayer& layer) {
  switch (layer.input) {
    case ConvInput::kFloat32:
      return MakeRow(layer.kernel.channels, static_cast<float>(layer.pad_value));
    case ConvInput::kInt8:
      return MakeRow(layer.kernel.channels, static_cast<std::int8_t>(layer.zero_point));
    case ConvInput::kUInt8:
      return MakeRow(layer.kernel.channels, static_cast<std::uint8_t>(layer.zero_point));
    case ConvInput::kBits:
      break;
  }
  std::vector<unsigned char> row = MakeRow(layer.kernel.words, Word{0});
  if (layer.pad_value < 0) {
    for (int w = 0; w < layer.kernel.words; ++w) {
      const Word bits = LowBits(std::max(0, layer.kernel.channels - w * kWordBits));
      std::memcpy(row.data() + w * sizeof(Word), &bits, sizeof(Word));
    }
  }
  return row;
}

}  // namespace

Conv2D::Conv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      input_(layer.input),
      kernel_(layer.kernel),
      pad_value_(layer.pad_value),
      zero_point_(layer.zero_point),
      offset_(layer.offset),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      padding_row_(MakePaddingRow(layer)) {
  if (input_ == ConvInput::kBits) {
    packed_kernel_ = PackForBits(layer.weights, kernel_);
    if (pad_value_ == 0) tap_sums_ = TapSums(layer.weights, kernel_);
  } else {
    packed_kernel_ = PackForReal(layer.weights, kernel_);
  }
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
  const bool unaligned = kernel_.groups > 1 && kernel_.channels % kWordBits != 0;
  if (input_ == ConvInput::kBits && unaligned) {
    regrouped_.resize(static_cast<std::size_t>(batch) * vertical.input * horizontal.input * kernel_.groups *
                      kernel_.words);
  }
}

void Conv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  epilogue_.Bind(data);
  switch (input_) {
    case ConvInput::kBits: {
      const auto* words = static_cast<const Word*>(x);
      return RunOn(regrouped_.empty() ? words : Regroup(words, pool), pool);
    }
    case ConvInput::kFloat32:
      return RunOn(static_cast<const float*>(x), pool);
    case ConvInput::kInt8:
      return RunOn(static_cast<const std::int8_t*>(x), pool);
    case ConvInput::kUInt8:
      return RunOn(static_cast<const std::uint8_t*>(x), pool);
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

template <typename X>
void Conv2D::RunOn(const X* x, ThreadPool& pool) {
  const std::int64_t pixels = batch_ * vertical_.output * horizontal_.output;
  const auto panels = static_cast<int>(CeilDiv<std::int64_t>(pixels, panel_pixels_));
  const int blocks = kernel_.blocks();
  const std::int64_t steps = pixels * blocks * kernel_.taps * TapSize();
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);

  int ranges = 1;  // of blocks
  if (threads > 1 && !epilogue_.SplitsWords()) ranges = std::min(blocks, CeilDiv(threads * kTasksPerThread, panels));
  pool.ParallelFor(panels * ranges, threads, [&](int task, int thread) {
    const std::int64_t first_pixel = std::int64_t{task / ranges} * panel_pixels_;
    const auto panel = static_cast<int>(std::min<std::int64_t>(panel_pixels_, pixels - first_pixel));
    const int range = task % ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * range / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (range + 1) / ranges);
    RunPanel(x, first_pixel, panel, first_block, end_block, thread);
  });
}

template <typename X>
void Conv2D::RunPanel(const X* x, std::int64_t first_pixel, int pixels, int first_block, int end_block, int thread) {
  using Acc = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;
  alignas(64) Acc acc[kMaxTilePixels * kBlockChannels];
  constexpr bool kBinary = std::is_same_v<X, Word>;
  const int depth = TapSize();
  const std::size_t block_words = static_cast<std::size_t>(kernel_.taps) * depth * (kBinary ? kBlockChannels : 1);
  Panel& panel = panels_[thread];

  if (epilogue_.SplitsWords()) epilogue_.ClearBits(first_pixel, pixels);
  int group = -1;
  for (int block = first_block; block < end_block; ++block) {
    if (block / kernel_.group_blocks() != group) {
      group = block / kernel_.group_blocks();
      FillRows(x + group * depth, first_pixel, pixels, &panel);
    }
    const Word* packed = packed_kernel_.data() + block * block_words;
    const auto rows = reinterpret_cast<const X* const*>(panel.rows.data());
    for (int tile = 0; tile < pixels; tile += kernels_->tile_pixels) {
      const int count = std::min(kernels_->tile_pixels, pixels - tile);
      const X* const* tile_rows = rows + static_cast<std::size_t>(tile) * kernel_.taps;
      if constexpr (kBinary) {
        const std::int32_t bits = kernel_.taps * kernel_.channels + offset_;
        kernels_->accumulate_bits(tile_rows, count, kernel_.taps, depth, packed, bits, acc);
        if (!tap_sums_.empty()) RemovePadding(panel, tile / kernels_->tile_pixels, block, acc);
      } else if constexpr (std::is_same_v<X, float>) {
        kernels_->accumulate_float(tile_rows, count, kernel_.taps, depth, packed, acc);
      } else if constexpr (std::is_same_v<X, std::int8_t>) {
        kernels_->accumulate_int8(tile_rows, count, kernel_.taps, depth, packed, zero_point_, acc);
      } else {
        kernels_->accumulate_uint8(tile_rows, count, kernel_.taps, depth, packed, zero_point_, acc);
      }
      epilogue_.Finish(acc, first_pixel + tile, count, block);
    }
  }
}

// Fills the panel's table for one group: x points at the group's first channel of the first pixel.
template <typename X>
void Conv2D::FillRows(const X* x, std::int64_t first_pixel, int pixels, Panel* panel) const {
  const std::int64_t pixel_size = PixelSize();
  const std::int64_t image_size = std::int64_t{vertical_.input} * horizontal_.input * pixel_size;
  auto column = static_cast<int>(first_pixel % horizontal_.output);
  auto row = static_cast<int>(first_pixel / horizontal_.output % vertical_.output);
  std::int64_t image = first_pixel / horizontal_.output / vertical_.output * image_size;
  const auto rows = reinterpret_cast<const X**>(panel->rows.data());
  const auto padding = reinterpret_cast<const X*>(padding_row_.data());
  panel->outside.clear();
  panel->outside_end.clear();
  for (int tile = 0; tile < pixels; tile += kernels_->tile_pixels) {
    const int count = std::min(kernels_->tile_pixels, pixels - tile);
    const X** tile_rows = rows + static_cast<std::size_t>(tile) * kernel_.taps;
    const std::size_t outside_begin = panel->outside.size();
    std::int64_t origin[kMaxTilePixels] =
        {};  // of the window's first tap, in elements from x; may lie outside the image
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
      const X** tap_rows = tile_rows + static_cast<std::size_t>(tap) * count;
      // A constant number of pointers, for the compiler; those past the tile's last pixel are overwritten by the next
      // tap.
      for (int p = 0; p < kMaxTilePixels; ++p) tap_rows[p] = x + (origin[p] + tap_offsets_[tap]);
    }
    for (std::size_t i = outside_begin; i < panel->outside.size(); ++i) {
      tile_rows[static_cast<std::size_t>(panel->outside[i].tap) * count + panel->outside[i].pixel] = padding;
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
