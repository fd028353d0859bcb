#include "kernels/max_pool2d.h"

#include <algorithm>

namespace keras_bnn {
namespace {

// Words that a thread reads in a microsecond, about.
constexpr std::int64_t kWordsPerMicrosecond = 1000;

struct Span {
  int begin, end;  // input positions under the window that lie inside the image
};

Span InsideOf(const Window& window, int output) {
  const int first = output * window.stride - window.pad;
  return {std::max(first, 0), std::min(first + window.size, window.input)};
}

}  // namespace

void MaxPool2D(const Word* x, std::int64_t batch, const Window& vertical, const Window& horizontal, int words,
               const Word* minimum, Word* y, ThreadPool& pool, int threads) {
  const auto lines = static_cast<int>(batch * vertical.output);
  const std::int64_t window =
      std::int64_t{std::min(vertical.size, vertical.input)} * std::min(horizontal.size, horizontal.input);
  const std::int64_t work = std::int64_t{lines} * horizontal.output * words * window;
  pool.ParallelFor(lines, pool.UsefulThreads(threads, work / kWordsPerMicrosecond), [&](int line, int) {
    const Word* image = x + std::int64_t{line / vertical.output} * vertical.input * horizontal.input * words;
    Word* out = y + std::int64_t{line} * horizontal.output * words;
    const Span rows = InsideOf(vertical, line % vertical.output);
    for (int column = 0; column < horizontal.output; ++column, out += words) {
      const Span columns = InsideOf(horizontal, column);
      for (int w = 0; w < words; ++w) out[w] = ~Word{0};
      for (int i = rows.begin; i < rows.end; ++i) {
        const Word* pixel = image + (std::int64_t{i} * horizontal.input + columns.begin) * words;
        for (int j = columns.begin; j < columns.end; ++j, pixel += words) {
          if (minimum == nullptr) {
            for (int w = 0; w < words; ++w) out[w] &= pixel[w];
          } else {
            for (int w = 0; w < words; ++w) out[w] &= pixel[w] ^ minimum[w];
          }
        }
      }
      if (minimum != nullptr) {
        for (int w = 0; w < words; ++w) out[w] ^= minimum[w];
      }
    }
  });
}

}  // namespace keras_bnn
