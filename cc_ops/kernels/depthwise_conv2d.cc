#include "kernels/depthwise_conv2d.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/element_count.h"
#include "kernels/bit_range.h"

namespace keras_bnn {
namespace {

constexpr int kTasksPerThread = 4;

// What a pixel and block costs without its taps, in taps and in the steps of KernelSet::steps_per_microsecond.
constexpr int kTapsOfFinish = 64;
constexpr int kTapsPerStep = 8;

std::int64_t RoundedUpToTiles(int pixels) { return std::int64_t{CeilDiv(pixels, kMaxTilePixels)} * kMaxTilePixels; }

// The place of a column of taps that lies beside the image for all outputs.
constexpr std::int64_t kBesideTheImage = -1;

}  // namespace

DepthwiseConv2D::DepthwiseConv2D(const KernelSet& kernels, const ConvLayer& layer)
    : kernels_(&kernels),
      kernel_(layer.kernel),
      pad_value_(layer.pad_value),
      epilogue_(kernels, layer.kernel, layer.epilogue),
      rows_inside_(vertical_) {
  std::vector<Word> packed(ElementCount("the repacked kernel", sizeof(Word), {Words(), kernel_.taps}));
  Word* to = packed.data();
  for (int block = 0; block < Words(); ++block) {
    for (int tap = 0; tap < kernel_.taps; ++tap) {
      *to++ = layer.weights[static_cast<std::size_t>(tap) * Words() + block];
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

void DepthwiseConv2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
                             const std::vector<OperandShape>& operands) {
  batch_ = batch;
  if (batch == 0) return;  // however large its images
  epilogue_.Resize(std::int64_t{vertical.output} * horizontal.output, operands);
  vertical_ = vertical;
  horizontal_ = horizontal;
  threads_ = threads;
  PlaceLines();
  PlaceRuns();
  const Word padding = pad_value_ < 0 ? ~Word{0} : Word{0};
  turned_.assign(ElementCount("the input with its padding", sizeof(Word),
                              {batch, static_cast<std::int64_t>(lines_.size()), Words(),
                               static_cast<std::int64_t>(runs_.size()), run_pixels_}),
                 padding);
  padding_.assign(RoundedUpToTiles(horizontal.output), padding);
  if (pad_value_ == 0) MarkPixelsInside();
  scratch_.resize(threads);
  for (Scratch& scratch : scratch_) {
    scratch.taps.resize(kernel_.taps);
    scratch.bits.assign(padding_.size(), kernel_.taps);
    scratch.outside.assign(padding_.size(), 0);
    scratch.repeated.resize(Words());
  }
}

void DepthwiseConv2D::PlaceLines() {
  rows_inside_ = TapRanges(vertical_);
  line_places_.assign(ElementCount("the lines of the input", sizeof(int), {vertical_.input}), -1);
  for (int row = 0; row < vertical_.output; ++row) {
    const TapRange& inside = rows_inside_[rows_inside_.IndexAt(row)];
    for (int i = inside.begin; i < inside.end; ++i) {
      line_places_[row * vertical_.stride - vertical_.pad + i * vertical_.dilation] = 0;
    }
  }
  lines_.clear();
  for (int line = 0; line < vertical_.input; ++line) {
    if (line_places_[line] < 0) continue;
    line_places_[line] = static_cast<int>(lines_.size());
    lines_.push_back(line);
  }
}

void DepthwiseConv2D::PlaceRuns() {
  const std::int64_t stride = horizontal_.stride, dilation = horizontal_.dilation;
  // The columns of taps that some output has in the image.
  const std::int64_t reach = (horizontal_.output - 1) * stride;
  const auto begin =
      static_cast<int>(std::clamp<std::int64_t>(CeilDiv(horizontal_.pad - reach, dilation), 0, horizontal_.size));
  const auto end = static_cast<int>(std::clamp<std::int64_t>(
      CeilDiv(horizontal_.pad + std::int64_t{horizontal_.input}, dilation), begin, horizontal_.size));
  // Their distances from the first have remainders by the stride that repeat after so many.
  const auto period = static_cast<int>(stride / std::gcd(stride, dilation));
  const int runs = std::min(end - begin, period);
  run_pixels_ = RoundedUpToTiles(horizontal_.output) + std::max(0, end - begin - 1) * dilation / stride;
  const auto pixel_of = [&](std::int64_t columns) {
    return std::clamp<std::int64_t>(CeilDiv(columns, stride), 0, run_pixels_);
  };
  runs_.clear();
  for (int run = 0; run < runs; ++run) {
    const std::int64_t first = begin * dilation - horizontal_.pad + run * dilation % stride;
    const std::int64_t first_inside = pixel_of(-first);
    runs_.push_back({first, first_inside, std::max(first_inside, pixel_of(horizontal_.input - first))});
  }
  tap_offsets_.assign(horizontal_.size, kBesideTheImage);
  for (int j = begin; j < end; ++j) {
    tap_offsets_[j] = (j - begin) % runs * run_pixels_ + (j - begin) * dilation / stride;
  }
}

void DepthwiseConv2D::MarkPixelsInside() {
  inside_.assign(WordSize(), 0);
  Word* pixels = inside_.data();
  for (const PixelRun& run : runs_) {
    std::fill(pixels + run.begin, pixels + run.end, ~Word{0});
    pixels += run_pixels_;
  }
  inside_taps_.resize(kernel_.taps);
  for (int tap = 0; tap < kernel_.taps; ++tap) {
    const std::int64_t offset = tap_offsets_[tap % horizontal_.size];
    inside_taps_[tap] = offset == kBesideTheImage ? padding_.data() : inside_.data() + offset;
  }
  const TapRanges ranges(horizontal_);
  columns_inside_.resize(horizontal_.output);
  tile_inside_.assign(CeilDiv(horizontal_.output, kMaxTilePixels), true);
  for (int pixel = 0; pixel < horizontal_.output; ++pixel) {
    const TapRange& range = ranges[ranges.IndexAt(pixel)];
    columns_inside_[pixel] = range.end - range.begin;
    if (columns_inside_[pixel] != horizontal_.size) tile_inside_[pixel / kMaxTilePixels] = false;
  }
}

MemoryUse DepthwiseConv2D::Memory() const {
  MemoryUse memory;
  memory.weights = packed_kernel_.bytes() + least_.bytes();
  memory.scratch = BytesIn(turned_) + BytesIn(padding_) + BytesIn(inside_) + BytesIn(inside_taps_) +
                   BytesIn(tap_offsets_) + BytesIn(runs_) + BytesIn(lines_) + BytesIn(line_places_);
  for (const Scratch& scratch : scratch_) {
    memory.scratch +=
        BytesIn(scratch.repeated) + BytesIn(scratch.taps) + BytesIn(scratch.bits) + BytesIn(scratch.outside);
  }
  return memory;
}

void DepthwiseConv2D::Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
  if (batch_ == 0) return;
  epilogue_.Bind(data);
  if (!least_.empty()) words_ = static_cast<Word*>(data.outputs[0]);
  Turn(static_cast<const Word*>(x), pool);
  const auto rows = static_cast<int>(batch_ * vertical_.output);
  const int blocks = Words();
  const std::int64_t steps =
      std::int64_t{rows} * horizontal_.output * blocks * (kernel_.taps + kTapsOfFinish) / kTapsPerStep;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);
  const int ranges = threads > 1 ? std::min(blocks, CeilDiv(threads * kTasksPerThread, rows)) : 1;
  pool.ParallelFor(rows * ranges, threads, [&](int task, int thread) {
    const int row = task / ranges;
    const auto first_block = static_cast<int>(std::int64_t{blocks} * (task % ranges) / ranges);
    const auto end_block = static_cast<int>(std::int64_t{blocks} * (task % ranges + 1) / ranges);
    RunRow(row / vertical_.output, row % vertical_.output, first_block, end_block, &scratch_[thread]);
  });
}

void DepthwiseConv2D::Turn(const Word* x, ThreadPool& pool) {
  const auto lines = static_cast<int>(lines_.size());
  const std::int64_t steps = batch_ * lines * LineSize() / kTapsPerStep;
  const int threads = pool.UsefulThreads(threads_, steps / kernels_->steps_per_microsecond);
  pool.ParallelFor(static_cast<int>(batch_ * lines), threads, [&](int index, int thread) {
    const std::int64_t line = std::int64_t{index / lines} * vertical_.input + lines_[index % lines];
    TurnLine(x + line * horizontal_.input * WordsFor(kernel_.channels), turned_.data() + index * LineSize(),
             scratch_[thread].repeated.data());
  });
}

// Writes the pixels of the image, between the padding of all runs.
void DepthwiseConv2D::TurnLine(const Word* line, Word* turned, Word* repeated) const {
  const int words_in = WordsFor(kernel_.channels);
  const int words = Words();
  const int times = kernel_.channels_out / kernel_.channels;
  const std::int64_t stride = horizontal_.stride;
  const std::int64_t word_size = WordSize();
  for (const PixelRun& run : runs_) {
    if (times > 1) {
      for (std::int64_t pixel = run.begin; pixel < run.end; ++pixel) {
        RepeatBits(line + (pixel * stride + run.first) * words_in, kernel_.channels, times, repeated);
        for (int word = 0; word < words; ++word) turned[word * word_size + pixel] = repeated[word];
      }
    } else {
      for (int word = 0; word < words; ++word) {
        Word* to = turned + word * word_size;
        for (std::int64_t pixel = run.begin; pixel < run.end; ++pixel) {
          to[pixel] = line[(pixel * stride + run.first) * words + word];
        }
      }
    }
    turned += run_pixels_;
  }
}

void DepthwiseConv2D::RunRow(std::int64_t image, int row, int first_block, int end_block, Scratch* scratch) const {
  alignas(64) std::int32_t acc[kMaxTilePixels * kBlockChannels];
  const int top = row * vertical_.stride - vertical_.pad;
  const Word* lines = turned_.data() + image * lines_.size() * LineSize();
  const TapRange& rows_inside = rows_inside_[rows_inside_.IndexAt(row)];
  int first_row = 0;  // of taps that count
  int end_row = vertical_.size;
  if (pad_value_ == 0) {
    first_row = rows_inside.begin;
    end_row = rows_inside.end;
    for (int pixel = 0; pixel < horizontal_.output; ++pixel) {
      scratch->bits[pixel] = (end_row - first_row) * columns_inside_[pixel];
      scratch->outside[pixel] = kernel_.taps - scratch->bits[pixel];
    }
  }
  const Word* padding = padding_.data();
  const int taps = (end_row - first_row) * horizontal_.size;
  const std::int64_t first_pixel = (image * vertical_.output + row) * horizontal_.output;
  for (int block = first_block; block < end_block; ++block) {
    const Word** tap = scratch->taps.data();
    for (int i = first_row; i < end_row; ++i) {
      if (!rows_inside.Contains(i)) {
        tap = std::fill_n(tap, horizontal_.size, padding);
        continue;
      }
      const Word* words = lines + line_places_[top + i * vertical_.dilation] * LineSize() + block * WordSize();
      for (const std::int64_t offset : tap_offsets_) {
        *tap++ = offset == kBesideTheImage ? padding : words + offset;
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
