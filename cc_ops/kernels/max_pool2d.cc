#include "kernels/max_pool2d.h"

#include <algorithm>

#include "core/element_count.h"

namespace keras_bnn {
namespace {

// Words that a thread reads in a microsecond, about.
constexpr std::int64_t kWordsPerMicrosecond = 4000;

struct Span {
  int begin, end;  // input positions under the window that lie inside the image
};

Span InsideOf(const Window& window, int output) {
  const int first = output * window.stride - window.pad;
  return {std::max(first, 0), std::min(first + window.size, window.input)};
}

// The most of a window's positions that lie inside the image.
std::int64_t MostInside(const Window& window) { return std::min(window.size, window.input); }

// Whether there are pixels between the windows that none of them reads.
bool WindowsLieApart(const Window& window) { return window.stride > window.size; }

// Combines `pixels` pixels of `lines` lines. The channels of minimum are turned around.
void AndLines(const Word* from, int lines, std::int64_t line_words, int pixels, int words, const Word* minimum,
              Word* to) {
  const std::int64_t count = std::int64_t{pixels} * words;
  std::fill_n(to, count, ~Word{0});
  for (int i = 0; i < lines; ++i, from += line_words) {
    if (minimum == nullptr) {
      for (std::int64_t j = 0; j < count; ++j) to[j] &= from[j];
    } else {
      for (std::int64_t j = 0; j < count; j += words) {
        for (int w = 0; w < words; ++w) to[j + w] &= from[j + w] ^ minimum[w];
      }
    }
  }
}

}  // namespace

void MaxPool2D::Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int words,
                       const Word* minimum, int threads) {
  batch_ = batch;
  if (batch == 0) return;  // however large its images
  vertical_ = vertical;
  horizontal_ = horizontal;
  words_ = words;
  minimum_ = minimum;
  threads_ = threads;
  combines_ = minimum != nullptr || vertical.size > 1;
  lines_.resize(combines_ ? threads : 0);
  for (std::vector<Word>& line : lines_) {
    line.resize(ElementCount("a line of the input", sizeof(Word), {horizontal.input, words}));
  }
}

MemoryUse MaxPool2D::Memory() const {
  MemoryUse memory;
  for (const std::vector<Word>& line : lines_) memory.scratch += BytesIn(line);
  return memory;
}

void MaxPool2D::Run(const Word* x, Word* y, ThreadPool& pool) {
  if (batch_ == 0) return;
  const auto lines = static_cast<int>(batch_ * vertical_.output);
  const std::int64_t read = MostInside(horizontal_) * horizontal_.output;
  const std::int64_t line_pixels = MostInside(vertical_) * std::min<std::int64_t>(horizontal_.input, read) + read;
  const std::int64_t work = lines * line_pixels * words_;
  pool.ParallelFor(lines, pool.UsefulThreads(threads_, work / kWordsPerMicrosecond), [&](int line, int thread) {
    const std::int64_t image = line / vertical_.output;
    RunLine(x + image * vertical_.input * horizontal_.input * words_, line % vertical_.output,
            combines_ ? lines_[thread].data() : nullptr, y + std::int64_t{line} * horizontal_.output * words_);
  });
}

void MaxPool2D::RunLine(const Word* image, int row, Word* line, Word* y) const {
  const std::int64_t line_words = std::int64_t{horizontal_.input} * words_;
  const Span rows = InsideOf(vertical_, row);
  const int height = rows.end - rows.begin;
  const Word* pixels = image + rows.begin * line_words;
  const bool apart = WindowsLieApart(horizontal_);
  if (combines_ && !apart) AndLines(pixels, height, line_words, horizontal_.input, words_, minimum_, line);
  for (int column = 0; column < horizontal_.output; ++column, y += words_) {
    const Span columns = InsideOf(horizontal_, column);
    const int width = columns.end - columns.begin;
    const std::int64_t first = std::int64_t{columns.begin} * words_;
    if (combines_ && apart) AndLines(pixels + first, height, line_words, width, words_, minimum_, line + first);
    const Word* pixel = (combines_ ? line : pixels) + first;
    for (int w = 0; w < words_; ++w) {
      Word all = pixel[w];
      for (int j = 1; j < width; ++j) all &= pixel[std::int64_t{j} * words_ + w];
      y[w] = minimum_ == nullptr ? all : all ^ minimum_[w];
    }
  }
}

}  // namespace keras_bnn
