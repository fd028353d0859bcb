#include "kernels/real_conv2d.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

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
  return {};
}

}  // namespace

RealConv2D::RealConv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      input_(layer.input),
      kernel_(layer.kernel),
      zero_point_(layer.zero_point),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      packed_kernel_(PackForReal(layer.weights, kernel_)),
      padding_row_(MakePaddingRow(layer)) {}

void RealConv2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
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
  tables_.resize(threads);
  for (auto& table : tables_) table.resize(static_cast<std::size_t>(panel_pixels_) * kernel_.taps + kMaxTilePixels);
}

void RealConv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  epilogue_.Bind(data);
  switch (input_) {
    case ConvInput::kBits:
      return;
    case ConvInput::kFloat32:
      return RunOn(static_cast<const float*>(x), pool);
    case ConvInput::kInt8:
      return RunOn(static_cast<const std::int8_t*>(x), pool);
    case ConvInput::kUInt8:
      return RunOn(static_cast<const std::uint8_t*>(x), pool);
  }
}

template <typename X>
void RealConv2D::RunOn(const X* x, ThreadPool& pool) {
  const std::int64_t pixels = batch_ * vertical_.output * horizontal_.output;
  const auto panels = static_cast<int>(CeilDiv<std::int64_t>(pixels, panel_pixels_));
  const int blocks = kernel_.blocks();
  const std::int64_t steps = pixels * blocks * kernel_.taps * kernel_.channels;
  const auto threads = static_cast<int>(std::min<std::int64_t>(threads_, steps / kernels_->steps_per_thread + 1));

  int ranges = 1;  // of blocks
  if (threads > 1 && !epilogue_.SplitsWords()) ranges = std::min(blocks, CeilDiv(threads * kTasksPerThread, panels));
  pool.ParallelFor(panels * ranges, threads, [&](int task, int thread) {
    const std::int64_t first_pixel = std::int64_t{task / ranges} * panel_pixels_;
    const auto panel = static_cast<int>(std::min<std::int64_t>(panel_pixels_, pixels - first_pixel));
    const int range = task % ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * range / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (range + 1) / ranges);
    RunPanel(x, first_pixel, panel, first_block, end_block, &tables_[thread]);
  });
}

template <typename X>
void RealConv2D::RunPanel(const X* x, std::int64_t first_pixel, int pixels, int first_block, int end_block,
                          std::vector<const void*>* table) const {
  using Acc = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;
  alignas(64) Acc acc[kMaxTilePixels * kBlockChannels];
  const int depth = kernel_.channels;
  const auto rows = reinterpret_cast<const X**>(table->data());
  if (epilogue_.SplitsWords()) epilogue_.ClearBits(first_pixel, pixels);
  int group = -1;
  for (int block = first_block; block < end_block; ++block) {
    if (block / kernel_.group_blocks() != group) {
      group = block / kernel_.group_blocks();
      FillRows(x + group * depth, first_pixel, pixels, rows);
    }
    const Word* packed = packed_kernel_.data() + static_cast<std::size_t>(block) * kernel_.taps * depth;
    for (int tile = 0; tile < pixels; tile += kernels_->tile_pixels) {
      const int count = std::min(kernels_->tile_pixels, pixels - tile);
      const X* const* tile_rows = rows + static_cast<std::size_t>(tile) * kernel_.taps;
      if constexpr (std::is_same_v<X, float>) {
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
void RealConv2D::FillRows(const X* x, std::int64_t first_pixel, int pixels, const X** rows) const {
  const std::int64_t image_size = std::int64_t{vertical_.input} * horizontal_.input * PixelSize();
  const auto padding = reinterpret_cast<const X*>(padding_row_.data());
  for (int pixel = 0; pixel < pixels; ++pixel) {
    const std::int64_t at = first_pixel + pixel;
    const auto column = static_cast<int>(at % horizontal_.output);
    const auto row = static_cast<int>(at / horizontal_.output % vertical_.output);
    const std::int64_t image = at / horizontal_.output / vertical_.output * image_size;
    const int top = row * vertical_.stride - vertical_.pad;
    const int left = column * horizontal_.stride - horizontal_.pad;
    const std::int64_t origin = image + (std::int64_t{top} * horizontal_.input + left) * PixelSize();
    const int tile = pixel / kernels_->tile_pixels * kernels_->tile_pixels;
    const int count = std::min(kernels_->tile_pixels, pixels - tile);
    const X** tap_rows = rows + static_cast<std::size_t>(tile) * kernel_.taps + (pixel - tile);
    for (int tap = 0; tap < kernel_.taps; ++tap, tap_rows += count) {
      const bool inside = vertical_.Contains(top + tap / horizontal_.size * vertical_.dilation) &&
                          horizontal_.Contains(left + tap % horizontal_.size * horizontal_.dilation);
      *tap_rows = inside ? x + (origin + tap_offsets_[tap]) : padding;
    }
  }
}

}  // namespace keras_bnn
