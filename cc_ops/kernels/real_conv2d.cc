#include "kernels/real_conv2d.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/element_count.h"

namespace keras_bnn {
namespace {

constexpr int kTasksPerThread = 4;

// Pixels of a panel: those of a row, so that their sums stay in the L1 cache, and all, so that few rows of x are copied
// for two panels.
constexpr int kRowPixels = 64;
constexpr int kPanelPixels = 512;

// Values of x under the taps of a panel's row, so that they stay in the L2 cache; and under all its further rows, which
// bounds the copies of x, and the addresses of their lines, where kernels are large.
constexpr std::int64_t kRowValues = 1 << 18;
constexpr std::int64_t kPanelValues = 1 << 20;

// A kernel of at most so many bytes is expanded once and for all: it stays in the L2 cache. Chunks of a larger one are
// expanded for each panel, into the L1 cache.
constexpr std::int64_t kMostExpanded = 1 << 17;
constexpr int kChunkBytes = 1 << 14;

constexpr std::size_t kCacheLine = 64;

const FloatKernels& KernelsFor(const KernelSet& kernels, float) { return kernels.floats; }
const ByteKernels& KernelsFor(const KernelSet& kernels, std::uint8_t) { return kernels.bytes; }

// A vector with room for `size` values that begin with a cache line, and where they begin.
template <typename T>
void ResizeForAligned(std::int64_t size, std::vector<T>* values) {
  values->resize(ElementCount("the scratch", sizeof(T), {size}) + kCacheLine / sizeof(T));
}

template <typename Vector>
auto* AlignedData(Vector& values) {
  constexpr std::size_t kLineValues = kCacheLine / sizeof(values[0]);
  const std::size_t first = reinterpret_cast<std::uintptr_t>(values.data()) / sizeof(values[0]);
  return values.data() + (kLineValues - first % kLineValues);
}

float* CopyValues(const float* from, std::int64_t count, unsigned char, float* to) {
  std::memcpy(to, from, count * sizeof(float));
  return to + count;
}

std::uint8_t* CopyValues(const std::uint8_t* from, std::int64_t count, unsigned char flip, std::uint8_t* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
  return to + count;
}

// Whether the outputs are the pixels of the image, each by itself.
bool IsEveryPixel(const Window& window) {
  return window.size == 1 && window.stride == 1 && window.pad == 0 && window.output == window.input;
}

}  // namespace

template <typename X>
RealConv2D<X>::RealConv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&KernelsFor(kernels, X{})),
      steps_per_microsecond_(kernels.steps_per_microsecond),
      kernel_(layer.kernel),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      packed_kernel_(PackForReal(layer.weights, kernel_)),
      start_(static_cast<std::size_t>(kernel_.blocks()) * kBlockChannels) {
  if constexpr (std::is_same_v<X, float>) {
    padding_ = static_cast<float>(layer.pad_value);
  } else {
    flip_ = layer.input == ConvInput::kInt8 ? 0x80 : 0;
    padding_ = static_cast<std::uint8_t>(layer.zero_point + flip_);
    // The sum of w * (x - padding) is the sum of w * x less padding times the sum of w.
    const std::vector<std::int32_t> tap_sums = TapSums(layer.weights, kernel_);
    for (std::size_t i = 0; i < start_.size(); ++i) {
      const std::int32_t* sums = tap_sums.data() + i / kBlockChannels * kernel_.taps * kBlockChannels;
      std::int64_t sum = 0;
      for (int tap = 0; tap < kernel_.taps; ++tap) sum += sums[tap * kBlockChannels + i % kBlockChannels];
      const std::int64_t negative = (Steps() - sum) / 2;
      start_[i] = static_cast<std::int32_t>(-padding_ * sum - kernels_->excess * negative);
    }
  }
}

template <typename X>
void RealConv2D<X>::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
                           const std::vector<OperandShape>& operands) {
  batch_ = batch;
  if (batch == 0) return;  // however large its images
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  if (IsEveryPixel(vertical) && IsEveryPixel(horizontal)) {
    vertical_ = horizontal_ = Window();
    horizontal_.input = horizontal_.output = static_cast<int>(batch * vertical.input * horizontal.input);
    batch_ = 1;
  }
  if (chunks_.empty()) ExpandKernel();

  gathers_ = horizontal.dilation > 1 || horizontal.stride > horizontal.size;
  pixel_columns_ = gathers_ ? horizontal.size : horizontal.stride;
  const bool one_chunk = chunks_.size() == 1;
  const auto most = static_cast<int>(std::clamp<std::int64_t>(kRowValues / Steps(), 1, kRowPixels));
  const int panels_across = std::max(1, CeilDiv(horizontal_.output, most));
  panel_columns_ = std::max(1, CeilDiv(horizontal_.output, panels_across));
  const std::int64_t rows = batch_ * vertical_.output;
  std::int64_t panel_rows = (one_chunk ? kPanelPixels : kRowPixels) / panel_columns_;
  if (threads > 1) panel_rows = std::min(panel_rows, rows * panels_across / (threads * kTasksPerThread));
  const int rows_apart = std::min(vertical_.size, RowsApart());
  const std::int64_t row_values = CopiedColumns(panel_columns_) * kernel_.channels;
  panel_rows = std::min(panel_rows, kPanelValues / std::max<std::int64_t>(rows_apart * row_values, vertical_.size));
  panel_rows_ = static_cast<int>(std::clamp<std::int64_t>(panel_rows, 1, vertical_.output));

  const int copied_rows = vertical_.size + (panel_rows_ - 1) * rows_apart;
  const int sum_rows = one_chunk ? 1 : panel_rows_;
  scratch_.resize(threads);
  for (Scratch& scratch : scratch_) {
    scratch.values.resize(ElementCount("a copy of the input", sizeof(X), {copied_rows, row_values}) + kReadAhead);
    scratch.rows.resize(ElementCount("the addresses of a panel", sizeof(X*), {panel_rows_, vertical_.size}));
    ResizeForAligned(std::max(kMostBlocks, sum_rows * panel_columns_) * kBlockChannels, &scratch.acc);
    if (expanded_.empty()) ResizeForAligned(kChunkBytes, &scratch.expanded);
  }
}

template <typename X>
MemoryUse RealConv2D<X>::Memory() const {
  MemoryUse memory;
  memory.weights = packed_kernel_.bytes() + BytesIn(expanded_) + BytesIn(start_);
  for (const Scratch& scratch : scratch_) {
    memory.scratch +=
        BytesIn(scratch.values) + BytesIn(scratch.rows) + BytesIn(scratch.acc) + BytesIn(scratch.expanded);
  }
  return memory;
}

// Where memory runs out, chunks_ stays empty, and the next Resize begins anew.
template <typename X>
void RealConv2D<X>::ExpandKernel() {
  const int length = RowLength();
  const std::int64_t block_bytes = kernels_->ExpandedBytes(vertical_.size, length);
  const std::int64_t packed_bytes = static_cast<std::int64_t>(packed_kernel_.size()) * std::int64_t{sizeof(Word)};
  if (block_bytes * kernel_.blocks() <= std::max(kMostExpanded, 2 * packed_bytes)) {
    ResizeForAligned(block_bytes * kernel_.blocks(), &expanded_);
    chunks_.push_back({0, vertical_.size, 0, length});
    for (int block = 0; block < kernel_.blocks(); ++block) {
      kernels_->expand(packed_kernel_.data() + block * Steps(), vertical_.size, length,
                       AlignedData(expanded_) + block * block_bytes);
    }
    packed_kernel_ = {};
    return;
  }
  const int most_values = kChunkBytes / kernels_->unit_bytes * kernels_->unit;
  const int most_rows = std::max(1, static_cast<int>(kChunkBytes / kernels_->ExpandedBytes(1, length)));
  std::vector<Chunk> chunks;
  for (int row = 0; row < vertical_.size; row += most_rows) {
    const int rows = std::min(most_rows, vertical_.size - row);
    for (int value = 0; value < length; value += most_values) {
      chunks.push_back({row, rows, value, std::min(most_values, length - value)});
    }
  }
  chunks_ = std::move(chunks);
}

// Rows of taps from one that an output row reads to the one with which the next output row reads the same row of x.
template <typename X>
int RealConv2D<X>::RowsApart() const {
  return vertical_.stride % vertical_.dilation == 0 ? vertical_.stride / vertical_.dilation : vertical_.size;
}

template <typename X>
void RealConv2D<X>::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  if (batch_ == 0) return;
  epilogue_.Bind(data);
  const int panels_across = CeilDiv(horizontal_.output, panel_columns_);
  const auto panels = static_cast<int>(batch_ * CeilDiv(vertical_.output, panel_rows_) * panels_across);
  const int blocks = kernel_.blocks();
  const std::int64_t steps = batch_ * vertical_.output * horizontal_.output * blocks * Steps();
  const int threads = pool.UsefulThreads(threads_, steps / steps_per_microsecond_);

  int ranges = 1;  // of blocks
  if (threads > 1 && !epilogue_.SplitsWords()) ranges = std::min(blocks, CeilDiv(threads * kTasksPerThread, panels));
  pool.ParallelFor(panels * ranges, threads, [&](int task, int thread) {
    const int range = task % ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * range / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (range + 1) / ranges);
    RunPanel(static_cast<const X*>(x), PanelAt(task / ranges), first_block, end_block, &scratch_[thread]);
  });
}

template <typename X>
typename RealConv2D<X>::Panel RealConv2D<X>::PanelAt(int index) const {
  const int across = CeilDiv(horizontal_.output, panel_columns_);
  const int down = CeilDiv(vertical_.output, panel_rows_);
  Panel panel = {};
  panel.image = index / across / down;
  panel.row = index / across % down * panel_rows_;
  panel.rows = std::min(panel_rows_, vertical_.output - panel.row);
  panel.column = index % across * panel_columns_;
  panel.columns = std::min(panel_columns_, horizontal_.output - panel.column);
  return panel;
}

template <typename X>
void RealConv2D<X>::RunPanel(const X* x, const Panel& panel, int first_block, int end_block, Scratch* scratch) const {
  if (epilogue_.SplitsWords()) {
    for (int row = 0; row < panel.rows; ++row) epilogue_.ClearBits(FirstPixel(panel, row), panel.columns);
  }
  const std::int64_t image_values =
      std::int64_t{vertical_.input} * horizontal_.input * kernel_.groups * kernel_.channels;
  int group = -1;
  for (int block = first_block; block < end_block; ++block) {
    if (block / kernel_.group_blocks() != group) {
      group = block / kernel_.group_blocks();
      CopyRows(x + panel.image * image_values + std::int64_t{group} * kernel_.channels, panel, scratch);
    }
    if (expanded_.empty() && panel.columns <= kernels_->few_pixels) {
      int blocks = 1;
      if (panel.columns == 1) {
        blocks = std::min({kMostBlocks, end_block - block, (group + 1) * kernel_.group_blocks() - block});
      }
      RunBits(panel, block, blocks, scratch);
      block += blocks - 1;
    } else {
      RunBlock(panel, block, scratch);
    }
  }
}

template <typename X>
void RealConv2D<X>::RunBits(const Panel& panel, int first_block, int blocks, Scratch* scratch) const {
  Acc* acc = AlignedData(scratch->acc);
  const Word* kernel = packed_kernel_.data() + first_block * Steps();
  const Acc* start = start_.data() + std::int64_t{first_block} * kBlockChannels;
  for (int row = 0; row < panel.rows; ++row) {
    const X* const* rows = scratch->rows.data() + row * vertical_.size;
    const RealRows<X> x = {rows, vertical_.size, RowLength(), 0, PixelStep()};
    kernels_->accumulate_bits(x, panel.columns, kernel, Steps(), blocks, start, acc);
    for (int i = 0; i < blocks; ++i) {
      epilogue_.Finish(acc + i * panel.columns * kBlockChannels, FirstPixel(panel, row), panel.columns,
                       first_block + i);
    }
  }
}

template <typename X>
void RealConv2D<X>::RunBlock(const Panel& panel, int block, Scratch* scratch) const {
  Acc* acc = AlignedData(scratch->acc);
  const std::int64_t row_acc = chunks_.size() == 1 ? 0 : std::int64_t{panel_columns_} * kBlockChannels;
  for (const Chunk& chunk : chunks_) {
    const unsigned char* kernel = ExpandedChunk(block, chunk, scratch);
    const bool is_first = &chunk == &chunks_.front();
    const bool is_last = &chunk == &chunks_.back();
    for (int row = 0; row < panel.rows; ++row) {
      Acc* sums = acc + row * row_acc;
      const Acc* start = is_first ? start_.data() + std::int64_t{block} * kBlockChannels : sums;
      const X* const* rows = scratch->rows.data() + row * vertical_.size + chunk.first_row;
      const RealRows<X> x = {rows, chunk.rows, chunk.values, chunk.first_value, PixelStep()};
      kernels_->accumulate(x, panel.columns, kernel, start, is_first ? 0 : kBlockChannels, sums);
      if (is_last) epilogue_.Finish(sums, FirstPixel(panel, row), panel.columns, block);
    }
  }
}

template <typename X>
const unsigned char* RealConv2D<X>::ExpandedChunk(int block, const Chunk& chunk, Scratch* scratch) const {
  if (!expanded_.empty()) {
    return AlignedData(expanded_) + block * kernels_->ExpandedBytes(vertical_.size, RowLength());
  }
  const std::int64_t first = std::int64_t{chunk.first_row} * RowLength() + chunk.first_value;
  unsigned char* expanded = AlignedData(scratch->expanded);
  kernels_->expand(packed_kernel_.data() + block * Steps() + first, chunk.rows, chunk.values, expanded);
  return expanded;
}

// x points at the group's first channel of the image.
template <typename X>
void RealConv2D<X>::CopyRows(const X* x, const Panel& panel, Scratch* scratch) const {
  const std::int64_t row_values = std::int64_t{horizontal_.input} * kernel_.groups * kernel_.channels;
  const int apart = RowsApart();
  X* to = scratch->values.data();
  const X** rows = scratch->rows.data();
  for (int row = 0; row < panel.rows; ++row, rows += vertical_.size) {
    for (int tap = 0; tap < vertical_.size; ++tap) {
      if (row > 0 && tap + apart < vertical_.size) {
        rows[tap] = rows[tap + apart - vertical_.size];
        continue;
      }
      const int line = (panel.row + row) * vertical_.stride - vertical_.pad + tap * vertical_.dilation;
      CopyRow(vertical_.Contains(line) ? x + line * row_values : nullptr, panel.column, panel.columns, to);
      rows[tap] = to;
      to += CopiedColumns(panel_columns_) * kernel_.channels;
    }
  }
}

// The values of a row of x, or padding where it is null, under the taps of the pixels.
template <typename X>
void RealConv2D<X>::CopyRow(const X* row, int first_pixel, int pixels, X* to) const {
  if (row == nullptr) {
    std::fill_n(to, CopiedColumns(pixels) * kernel_.channels, padding_);
    return;
  }
  const std::int64_t first = std::int64_t{first_pixel} * horizontal_.stride - horizontal_.pad;
  if (!gathers_) return CopyColumns(row, first, CopiedColumns(pixels), to);
  for (int pixel = 0; pixel < pixels; ++pixel) {
    for (int tap = 0; tap < horizontal_.size; ++tap, to += kernel_.channels) {
      CopyColumns(row, first + std::int64_t{pixel} * horizontal_.stride + std::int64_t{tap} * horizontal_.dilation, 1,
                  to);
    }
  }
}

template <typename X>
void RealConv2D<X>::CopyColumns(const X* row, std::int64_t first_column, std::int64_t columns, X* to) const {
  const std::int64_t begin = std::clamp<std::int64_t>(-first_column, 0, columns);
  const std::int64_t end = std::clamp<std::int64_t>(horizontal_.input - first_column, begin, columns);
  const std::int64_t channels = kernel_.channels;
  const std::int64_t pixel_values = channels * kernel_.groups;
  to = std::fill_n(to, begin * channels, padding_);
  if (begin == end) {
    std::fill_n(to, (columns - begin) * channels, padding_);
    return;
  }
  const X* from = row + (first_column + begin) * pixel_values;
  if (kernel_.groups == 1) {
    to = CopyValues(from, (end - begin) * channels, flip_, to);
  } else {
    for (std::int64_t column = begin; column < end; ++column, from += pixel_values)
      to = CopyValues(from, channels, flip_, to);
  }
  std::fill_n(to, (columns - end) * channels, padding_);
}

template class RealConv2D<float>;
template class RealConv2D<std::uint8_t>;

}  // namespace keras_bnn
