// Max pooling on packed bits. A maximum of +-1 is -1 only if all values are, so it is the bitwise and of the window's
// words.
//
// The lines under a window are first combined to one, and then the pixels of that: a large window costs the sum of its
// sides for each output, not their product.
#ifndef KERAS_BNN_KERNELS_MAX_POOL2D_H_
#define KERAS_BNN_KERNELS_MAX_POOL2D_H_

#include <cstdint>
#include <vector>

#include "core/layout.h"
#include "core/memory_use.h"
#include "core/thread_pool.h"
#include "core/window.h"

namespace keras_bnn {

class MaxPool2D {
 public:
  // Makes room for images of this size, of `words` words a pixel. Channels whose bit is set in minimum, of `words`
  // words that must stay, get the smallest value instead of the largest; null for none.
  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int words, const Word* minimum,
              int threads);

  // x is [batch, vertical.input, horizontal.input, words], y the same with the outputs' sizes. Pixels outside the image
  // do not take part. Must not run twice at the same time: the scratch is the object's.
  void Run(const Word* x, Word* y, ThreadPool& pool);

  MemoryUse Memory() const;

 private:
  void RunLine(const Word* image, int row, Word* line, Word* y) const;

  std::int64_t batch_ = 0;
  Window vertical_, horizontal_;
  int words_ = 0;
  const Word* minimum_ = nullptr;
  int threads_ = 1;
  bool combines_ = false;                 // whether lines are, or their channels turned around
  std::vector<std::vector<Word>> lines_;  // per thread: the lines under a window, combined
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_MAX_POOL2D_H_
