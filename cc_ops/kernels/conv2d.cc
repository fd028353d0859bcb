#include "kernels/conv2d.h"

#include <algorithm>
#include <utility>

#include "core/element_count.h"
#include "kernels/bit_range.h"

namespace keras_bnn {
namespace {

// A panel's table of pointers should stay in the L1 cache beside the weights of a block.
constexpr int kPanelPointers = 1024;
constexpr int kPanelPixels = 64;

constexpr int kTasksPerThread = 4;

// The most pixels of a framed line for each of the image's: those of a small image under a usual kernel, and no more
// memory than a few copies of x.
constexpr int kMostFramed = 4;

// Words of groups that a thread regroups in a microsecond, about.
constexpr std::int64_t kRegroupedPerMicrosecond = 300;

// What taps outside the image read.
std::vector<Word> MakePaddingRow(const ConvLayer& layer) {
  const int words = layer.kernel.words;
  std::vector<Word> row(static_cast<std::size_t>(layer.kernel.taps) * words, 0);
  if (layer.pad_value < 0) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = LowBits(std::max(0, layer.kernel.channels - static_cast<int>(i % words) * kWordBits));
    }
  }
  return row;
}

// A sum for each range of rows and of columns of taps: `sums`, [rows][columns][32], gets the taps that lie inside both.
// tap_sums is [tap][32].
void AddTapsInside(const TapRanges& rows, const TapRanges& columns, const std::int32_t* tap_sums, std::int32_t* sums) {
  const int tap_rows = rows[0].end, tap_columns = columns[0].end;
  const std::size_t line = (std::size_t{1} + tap_columns) * kBlockChannels;
  // The sums of all taps above and left of each corner between taps; four of them tell those of a rectangle.
  std::vector<std::int32_t> corners(
      ElementCount("the sums of the first taps", sizeof(std::int32_t),
                   {std::int64_t{1} + tap_rows, std::int64_t{1} + tap_columns, kBlockChannels}));
  for (int row = 0; row < tap_rows; ++row) {
    const std::int32_t* above = corners.data() + row * line + kBlockChannels;
    std::int32_t row_sums[kBlockChannels] = {};
    for (std::size_t i = 0; i < line - kBlockChannels; ++i) {
      corners[(row + 1) * line + kBlockChannels + i] = above[i] + (row_sums[i % kBlockChannels] += *tap_sums++);
    }
  }
  for (int i = 0; i < rows.count(); ++i) {
    const std::int32_t* top = corners.data() + rows[i].begin * line;
    const std::int32_t* bottom = corners.data() + rows[i].end * line;
    for (int j = 0; j < columns.count(); ++j, sums += kBlockChannels) {
      const std::size_t left = static_cast<std::size_t>(columns[j].begin) * kBlockChannels;
      const std::size_t right = static_cast<std::size_t>(columns[j].end) * kBlockChannels;
      for (int c = 0; c < kBlockChannels; ++c) {
        sums[c] += (bottom[right + c] - top[right + c]) - (bottom[left + c] - top[left + c]);
      }
    }
  }
}

}  // namespace

Conv2D::Conv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      kernel_(layer.kernel),
      offset_(layer.offset),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      packed_kernel_(PackForBits(kernels, layer.weights, kernel_)),
      padding_row_(MakePaddingRow(layer)),
      rows_inside_(vertical_),
      columns_inside_(horizontal_) {
  if (layer.pad_value == 0) tap_sums_ = TapSums(layer.weights, kernel_);
}

void Conv2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
                    const std::vector<OperandShape>& operands) {
  batch_ = batch;
  if (batch == 0) return;  // however large its images
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  rows_inside_ = TapRanges(vertical);
  columns_inside_ = TapRanges(horizontal);
  PlaceSpans();
  panels_.resize(threads);
  for (Panel& panel : panels_) {
    panel.rows.resize(ElementCount("the addresses of a panel", sizeof(Word*), {panel_pixels_, spans_}));
    panel.origins.resize(panel_pixels_);
    panel.value_rows.resize(panel_pixels_);
  }
  FillValues();
  if (kernel_.groups > 1 && kernel_.channels % kWordBits != 0) {
    regrouped_.resize(ElementCount("the input with its groups in words of their own", sizeof(Word),
                                   {batch, vertical.input, horizontal.input, kernel_.groups, kernel_.words}));
  }
}

// What a pixel's sum is when no bit differs. Taps outside the image that should add 0 have added the sum of their
// weights.
void Conv2D::FillValues() {
  std::vector<std::int32_t> all_values(
      ElementCount("the sums of the taps inside the image", sizeof(std::int32_t),
                   {kernel_.blocks(), rows_inside_.count(), columns_inside_.count(), kBlockChannels}),
      0);
  const int rows = rows_inside_.count() * columns_inside_.count();
  const std::size_t block_values = static_cast<std::size_t>(rows) * kBlockChannels;
  for (int block = 0; block < kernel_.blocks(); ++block) {
    std::int32_t* values = all_values.data() + block * block_values;
    if (!tap_sums_.empty()) {
      const std::int32_t* tap_sums = tap_sums_.data() + static_cast<std::size_t>(block) * kernel_.taps * kBlockChannels;
      std::int32_t all_taps[kBlockChannels];
      AddTapsInside(rows_inside_, columns_inside_, tap_sums, values);
      std::copy_n(values, kBlockChannels, all_taps);
      for (std::size_t i = 0; i < block_values; ++i) values[i] -= all_taps[i % kBlockChannels];
    }
    for (std::size_t i = 0; i < block_values; ++i) values[i] += kernel_.taps * kernel_.channels + offset_;
    epilogue_.TurnIntoValues(values, rows, block);
  }
  values_ = std::move(all_values);
}

MemoryUse Conv2D::Memory() const {
  MemoryUse memory;
  memory.weights = packed_kernel_.bytes() + tap_sums_.bytes() + values_.bytes();
  memory.scratch = BytesIn(regrouped_) + BytesIn(frame_);
  for (const Panel& panel : panels_) {
    memory.scratch += BytesIn(panel.rows) + BytesIn(panel.origins) + BytesIn(panel.value_rows);
  }
  return memory;
}

void Conv2D::PlaceSpans() {
  line_words_ = horizontal_.input * PixelSize();
  first_word_ = -horizontal_.pad * PixelSize();
  frame_.clear();
  bool joins = kernel_.groups == 1 && horizontal_.dilation == 1 && horizontal_.size > 1;
  if (joins && columns_inside_.count() > 1) {
    const int last = (horizontal_.output - 1) * horizontal_.stride - horizontal_.pad;  // first tap of the last output
    const int after = std::max(0, last + horizontal_.size - horizontal_.input);
    const std::int64_t line_pixels = std::int64_t{horizontal_.pad} + horizontal_.input + after;
    joins = line_pixels <= std::int64_t{kMostFramed} * horizontal_.input;
    if (joins) MakeFrame(line_pixels);
  }
  const int line_spans = joins ? 1 : horizontal_.size;
  span_words_ = kernel_.words * (horizontal_.size / line_spans);
  span_offsets_.clear();
  for (int i = 0; i < vertical_.size; ++i) {
    for (int j = 0; j < line_spans; ++j) {
      span_offsets_.push_back(i * vertical_.dilation * line_words_ + j * horizontal_.dilation * PixelSize());
    }
  }
  spans_ = static_cast<int>(span_offsets_.size());
  const int tiles = std::max(1, std::min(kPanelPixels, kPanelPointers / spans_) / kMaxTilePixels);
  panel_pixels_ = tiles * kMaxTilePixels;
}

// Lines of padding, for the lines of the image to be copied into.
void Conv2D::MakeFrame(std::int64_t line_pixels) {
  line_words_ = line_pixels * kernel_.words;
  first_word_ = 0;
  frame_.resize(
      ElementCount("the input with padded lines", sizeof(Word), {batch_, vertical_.input, line_pixels, kernel_.words}));
  for (auto pixel = frame_.begin(); pixel != frame_.end(); pixel += kernel_.words) {
    std::copy_n(padding_row_.begin(), kernel_.words, pixel);
  }
}

const Word* Conv2D::Enframe(const Word* x, int threads, ThreadPool& pool) {
  const std::int64_t words = std::int64_t{horizontal_.input} * kernel_.words;
  pool.ParallelFor(static_cast<int>(batch_ * vertical_.input), threads, [&](int line, int) {
    std::copy_n(x + line * words, words, frame_.data() + line * line_words_ + horizontal_.pad * kernel_.words);
  });
  return frame_.data();
}

const Word* Conv2D::Regroup(const Word* x, ThreadPool& pool) {
  const int words_in = WordsFor(kernel_.groups * kernel_.channels);
  const int words_out = kernel_.groups * kernel_.words;
  const auto rows = static_cast<int>(batch_ * vertical_.input);
  const auto words = static_cast<std::int64_t>(regrouped_.size());
  pool.ParallelFor(rows, pool.UsefulThreads(threads_, words / kRegroupedPerMicrosecond), [&](int row, int) {
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
  if (batch_ == 0) return;
  epilogue_.Bind(data);
  const auto* words = static_cast<const Word*>(x);
  if (!regrouped_.empty()) words = Regroup(words, pool);
  const std::int64_t pixels = batch_ * vertical_.output * horizontal_.output;
  const auto panels = static_cast<int>(CeilDiv<std::int64_t>(pixels, panel_pixels_));
  const int blocks = kernel_.blocks();
  const std::int64_t steps = pixels * blocks * kernel_.taps * kernel_.words;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);

  if (!frame_.empty()) words = Enframe(words, threads, pool);
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
  const std::size_t block_words = static_cast<std::size_t>(kernel_.taps) * kernel_.words * kBlockChannels;
  const std::size_t block_values = values_.size() / kernel_.blocks();
  if (epilogue_.SplitsWords()) epilogue_.ClearBits(first_pixel, pixels);
  PlacePixels(first_pixel, pixels, panel);
  int group = -1;
  for (int block = first_block; block < end_block; ++block) {
    if (block / kernel_.group_blocks() != group) {
      group = block / kernel_.group_blocks();
      FillRows(x + group * kernel_.words, pixels, panel);
    }
    BinaryTile tile = {};
    tile.taps = spans_;
    tile.words = span_words_;
    tile.kernel = packed_kernel_.data() + block * block_words;
    tile.values = values_.data() + block * block_values;
    for (int first = 0; first < pixels; first += kernels_->binary_pixels) {
      tile.rows = panel->rows.data() + static_cast<std::size_t>(first) * spans_;
      tile.pixels = std::min(kernels_->binary_pixels, pixels - first);
      tile.value_rows = panel->value_rows.data() + first;
      epilogue_.Finish(tile, first_pixel + first, block);
    }
  }
}

void Conv2D::PlacePixels(std::int64_t first_pixel, int pixels, Panel* panel) const {
  auto column = static_cast<int>(first_pixel % horizontal_.output);
  auto row = static_cast<int>(first_pixel / horizontal_.output % vertical_.output);
  std::int64_t image = first_pixel / horizontal_.output / vertical_.output;
  for (int pixel = 0; pixel < pixels;) {
    const int end = pixel + std::min(pixels - pixel, horizontal_.output - column);  // of this row's pixels
    const std::int64_t line = image * vertical_.input + row * vertical_.stride - vertical_.pad;
    const std::int64_t step = horizontal_.stride * PixelSize();
    std::int64_t origin = line * line_words_ + first_word_ + column * step;
    const int row_values = rows_inside_.IndexAt(row) * columns_inside_.count();
    for (; pixel < end; ++pixel, ++column, origin += step) {
      panel->origins[pixel] = origin;
      panel->value_rows[pixel] = (row_values + columns_inside_.IndexAt(column)) * kBlockChannels;
    }
    column = 0;
    if (++row == vertical_.output) {
      row = 0;
      ++image;
    }
  }
}

// Fills the panel's table for one group: x points at the group's first channel of the first pixel.
void Conv2D::FillRows(const Word* x, int pixels, Panel* panel) const {
  for (int first = 0; first < pixels; first += kMaxTilePixels) {
    const Word** rows = panel->rows.data() + static_cast<std::size_t>(first) * spans_;
    // A constant number of addresses, for the compiler; nobody reads those past the last pixel. Outside the image they
    // point nowhere: so they are numbers, which may wrap around.
    const std::int64_t* origins = panel->origins.data() + first;
    std::uintptr_t windows[kMaxTilePixels];
    for (int p = 0; p < kMaxTilePixels; ++p) {
      windows[p] = reinterpret_cast<std::uintptr_t>(x) + static_cast<std::uintptr_t>(origins[p]) * sizeof(Word);
    }
    for (int span = 0; span < spans_; ++span) {
      const std::uintptr_t offset = static_cast<std::uintptr_t>(span_offsets_[span]) * sizeof(Word);
      for (int p = 0; p < kMaxTilePixels; ++p) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): see above
        rows[span * kMaxTilePixels + p] = reinterpret_cast<const Word*>(windows[p] + offset);
      }
    }
    const int count = std::min(kMaxTilePixels, pixels - first);
    for (int p = 0; p < count; ++p) {
      const int value_row = panel->value_rows[first + p];
      if (value_row != 0) PadRows(value_row / kBlockChannels, rows + p);
    }
  }
}

// Lets the taps of a pixel that lie outside the image read padding. Of a span, either none or all need it.
void Conv2D::PadRows(int value_row, const Word** rows) const {
  const TapRange& rows_inside = rows_inside_[value_row / columns_inside_.count()];
  const TapRange& columns_inside = columns_inside_[value_row % columns_inside_.count()];
  const bool joined = span_words_ > kernel_.words;
  for (int i = 0; i < vertical_.size; ++i) {
    for (int j = 0; j < (joined ? 1 : horizontal_.size); ++j, rows += kMaxTilePixels) {
      if (!rows_inside.Contains(i) || (!joined && !columns_inside.Contains(j))) *rows = padding_row_.data();
    }
  }
}

}  // namespace keras_bnn
