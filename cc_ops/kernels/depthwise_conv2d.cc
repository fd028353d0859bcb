#include "kernels/depthwise_conv2d.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/bit_range.h"

namespace keras_bnn {
namespace {

constexpr int kTasksPerThread = 4;

// What a pixel and block costs without its taps, in taps and in the steps of KernelSet::steps_per_microsecond.
constexpr int kTapsOfFinish = 64;
constexpr int kTapsPerStep = 8;

// Pixels of a turned row in one phase. The kernel set reads whole tiles.
std::int64_t PhasePixels(const Window& horizontal) {
  const std::int64_t tiles = CeilDiv(horizontal.output, kMaxTilePixels);
  return tiles * kMaxTilePixels + (std::int64_t{horizontal.size} - 1) * horizontal.dilation / horizontal.stride;
}

// How many phases there are: from tap to tap each comes once, and then they begin again.
int PhaseCount(const Window& horizontal) {
  return std::min(horizontal.size, horizontal.stride / std::gcd(horizontal.stride, horizontal.dilation));
}

}  // namespace

DepthwiseConv2D::DepthwiseConv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      kernel_(layer.kernel),
      pad_value_(layer.pad_value),
      epilogue_(kernels, layer.kernel, layer.epilogue) {
  std::vector<Word> packed;
  for (int block = 0; block < Words(); ++block) {
    for (int tap = 0; tap < kernel_.taps; ++tap) {
      packed.push_back(layer.weights[static_cast<std::size_t>(tap) * Words() + block]);
    }
  }
  packed_kernel_ = std::move(packed);
  if (layer.epilogue.thresholds != nullptr && kernel_.taps <= kMostCompared) SetLeast(layer.epilogue.thresholds);
}

// acc < threshold where taps - 2 * count < threshold: where more than (taps - threshold) / 2 taps differ.
void DepthwiseConv2D::SetLeast(const std::int32_t* thresholds) {
  std::vector<Word> all_digits(static_cast<std::size_t>(Words()) * 2 * kComparedDigits, 0);
  for (int channel = 0; channel < Words() * kWordBits; ++channel) {
    for (int odd = 0; odd < 2; ++odd) {
      std::int64_t least = kMostCompared + 1;  // channels past the last never have a bit
      if (channel < kernel_.channels_out) {
        const std::int64_t difference = std::int64_t{kernel_.taps} - thresholds[channel] - odd;
        const std::int64_t half = difference >= 0 ? difference / 2 : -((1 - difference) / 2);  // rounded down
        least = std::clamp<std::int64_t>(half + 1, 0, kMostCompared + 1);
      }
      Word* digits = all_digits.data() + (std::size_t{2} * (channel / kWordBits) + odd) * kComparedDigits;
      for (int digit = 0; digit < kComparedDigits; ++digit) {
        digits[digit] |= static_cast<Word>(least >> digit & 1) << (channel % kWordBits);
      }
    }
  }
  least_ = std::move(all_digits);
}

std::int64_t DepthwiseConv2D::TurnedRowWords(int words, const Window& horizontal) {
  return std::int64_t{words} * PhaseCount(horizontal) * PhasePixels(horizontal);
}

void DepthwiseConv2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
                             const std::vector<OperandShape>& operands) {
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  batch_ = batch;
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  phase_pixels_ = static_cast<int>(PhasePixels(horizontal));
  const int phases = PhaseCount(horizontal);
  phases_.clear();
  tap_columns_.clear();
  for (int j = 0; j < horizontal.size; ++j) {
    const int column = j * horizontal.dilation;
    if (j < phases) phases_.push_back(column % horizontal.stride);
    tap_columns_.push_back({j % phases, column / horizontal.stride});
  }
  turned_.resize(static_cast<std::size_t>(batch) * vertical.input * RowSize());
  scratch_.resize(threads);
  for (Scratch& scratch : scratch_) {
    scratch.taps.resize(kernel_.taps);
    scratch.bits.assign(CeilDiv(horizontal.output, kMaxTilePixels) * kMaxTilePixels, kernel_.taps);
    scratch.outside.assign(scratch.bits.size(), 0);
    if (kernel_.channels != kernel_.channels_out) {
      scratch.repeated.resize(static_cast<std::size_t>(horizontal.input) * Words());
    }
  }
  if (pad_value_ != 0) {
    padding_row_.assign(WordSize(), pad_value_ < 0 ? ~Word{0} : Word{0});
    return;
  }
  inside_.clear();
  for (const int phase : phases_) {
    for (int pixel = 0; pixel < phase_pixels_; ++pixel) {
      const std::int64_t column = std::int64_t{pixel} * horizontal.stride + phase - horizontal.pad;
      inside_.push_back(column >= 0 && column < horizontal.input ? ~Word{0} : Word{0});
    }
  }
  inside_taps_.clear();
  columns_inside_.assign(horizontal.output, 0);
  for (int tap = 0; tap < kernel_.taps; ++tap) {
    const TapColumn& column = tap_columns_[tap % horizontal.size];
    inside_taps_.push_back(inside_.data() + std::int64_t{column.phase} * phase_pixels_ + column.shift);
  }
  tile_inside_.assign(CeilDiv(horizontal.output, kMaxTilePixels), true);
  for (int pixel = 0; pixel < horizontal.output; ++pixel) {
    for (int j = 0; j < horizontal.size; ++j) columns_inside_[pixel] += inside_taps_[j][pixel] != 0;
    if (columns_inside_[pixel] != horizontal.size) tile_inside_[pixel / kMaxTilePixels] = false;
  }
}

MemoryUse DepthwiseConv2D::Memory() const {
  MemoryUse memory;
  memory.weights = packed_kernel_.bytes() + least_.bytes();
  memory.scratch = BytesIn(turned_);
  for (const Scratch& scratch : scratch_) {
    memory.scratch +=
        BytesIn(scratch.repeated) + BytesIn(scratch.taps) + BytesIn(scratch.bits) + BytesIn(scratch.outside);
  }
  return memory;
}

void DepthwiseConv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  epilogue_.Bind(data);
  if (!least_.empty()) words_ = static_cast<Word*>(data.outputs[0]);
  Turn(static_cast<const Word*>(x), pool);
  const auto rows = static_cast<int>(batch_ * vertical_.output);
  const int blocks = Words();
  const std::int64_t steps =
      std::int64_t{rows} * horizontal_.output * blocks * (kernel_.taps + kTapsOfFinish) / kTapsPerStep;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);
  const int ranges = threads > 1 && rows > 0 ? std::min(blocks, CeilDiv(threads * kTasksPerThread, rows)) : 1;
  pool.ParallelFor(rows * ranges, threads, [&](int task, int thread) {
    const int row = task / ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * (task % ranges) / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (task % ranges + 1) / ranges);
    RunRow(row / vertical_.output, row % vertical_.output, first_block, end_block, &scratch_[thread]);
  });
}

void DepthwiseConv2D::Turn(const Word* x, ThreadPool& pool) {
  const auto rows = static_cast<int>(batch_ * vertical_.input);
  const std::int64_t steps = rows * RowSize() / kTapsPerStep;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);
  pool.ParallelFor(rows, threads, [&](int row, int thread) {
    const Word* words = x + std::int64_t{row} * horizontal_.input * WordsFor(kernel_.channels);
    if (kernel_.channels != kernel_.channels_out) words = Repeat(words, &scratch_[thread].repeated);
    TurnRow(words, turned_.data() + row * RowSize());
  });
}

const Word* DepthwiseConv2D::Repeat(const Word* row, std::vector<Word>* repeated) const {
  const int times = kernel_.channels_out / kernel_.channels;
  Word* to = repeated->data();
  for (int pixel = 0; pixel < horizontal_.input; ++pixel) {
    RepeatBits(row, kernel_.channels, times, to);
    row += WordsFor(kernel_.channels);
    to += Words();
  }
  return repeated->data();
}

void DepthwiseConv2D::TurnRow(const Word* row, Word* turned) const {
  const Word padding = pad_value_ < 0 ? ~Word{0} : Word{0};
  const int words = Words();
  for (int word = 0; word < words; ++word, ++row) {
    for (const int phase : phases_) {
      const std::int64_t stride = horizontal_.stride;
      const std::int64_t first = phase - horizontal_.pad;  // column of the first pixel
      const auto pixel_of = [&](std::int64_t columns) {
        return static_cast<int>(std::clamp<std::int64_t>(CeilDiv(columns, stride), 0, phase_pixels_));
      };
      const int begin = pixel_of(-first);
      const int end = std::max(begin, pixel_of(horizontal_.input - first));
      for (int pixel = 0; pixel < begin; ++pixel) turned[pixel] = padding;
      const Word* from = row + (begin * stride + first) * words;
      for (int pixel = begin; pixel < end; ++pixel, from += stride * words) turned[pixel] = *from;
      for (int pixel = end; pixel < phase_pixels_; ++pixel) turned[pixel] = padding;
      turned += phase_pixels_;
    }
  }
}

void DepthwiseConv2D::RunRow(std::int64_t image, int row, int first_block, int end_block, Scratch* scratch) const {
  alignas(64) std::int32_t acc[kMaxTilePixels * kBlockChannels];
  const int top = row * vertical_.stride - vertical_.pad;
  const Word* lines = turned_.data() + image * vertical_.input * RowSize();
  int first_row = 0;  // of taps that count
  int end_row = vertical_.size;
  if (pad_value_ == 0) {
    while (first_row < end_row && !vertical_.Contains(top + first_row * vertical_.dilation)) ++first_row;
    while (end_row > first_row && !vertical_.Contains(top + (end_row - 1) * vertical_.dilation)) --end_row;
    for (int pixel = 0; pixel < horizontal_.output; ++pixel) {
      scratch->bits[pixel] = (end_row - first_row) * columns_inside_[pixel];
      scratch->outside[pixel] = kernel_.taps - scratch->bits[pixel];
    }
  }
  const int taps = (end_row - first_row) * horizontal_.size;
  const std::int64_t first_pixel = (image * vertical_.output + row) * horizontal_.output;
  for (int block = first_block; block < end_block; ++block) {
    const Word** tap = scratch->taps.data();
    for (int i = first_row; i < end_row; ++i) {
      const int line = top + i * vertical_.dilation;
      const Word* words =
          vertical_.Contains(line) ? lines + line * RowSize() + block * WordSize() : padding_row_.data();
      for (const TapColumn& column : tap_columns_) {
        *tap++ = words + std::int64_t{column.phase} * phase_pixels_ + column.shift;
      }
    }
    const Word* kernel =
        packed_kernel_.data() + static_cast<std::size_t>(block) * kernel_.taps + first_row * horizontal_.size;
    for (int first = 0; first < horizontal_.output; first += kMaxTilePixels) {
      const int pixels = std::min(kMaxTilePixels, horizontal_.output - first);
      const bool whole = pad_value_ != 0 || tile_inside_[first / kMaxTilePixels];
      const Word* const* inside = whole ? nullptr : inside_taps_.data();
      if (!least_.empty()) {
        kernels_->compare_depthwise_bits(scratch->taps.data(), inside, first, pixels, taps, kernel,
                                         scratch->outside.data(),
                                         least_.data() + static_cast<std::size_t>(block) * 2 * kComparedDigits,
                                         words_ + (first_pixel + first) * Words() + block, Words());
        continue;
      }
      kernels_->accumulate_depthwise_bits(scratch->taps.data(), inside, first, pixels, taps, kernel,
                                          scratch->bits.data(), acc);
      epilogue_.Finish(acc, first_pixel + first, pixels, block);
    }
  }
}

}  // namespace keras_bnn
