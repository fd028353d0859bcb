// Max pooling on packed bits. A maximum of +-1 is -1 only if all values are, so it is the bitwise and of the window's
// words.
#ifndef KERAS_BNN_KERNELS_MAX_POOL2D_H_
#define KERAS_BNN_KERNELS_MAX_POOL2D_H_

#include <cstdint>

#include "core/layout.h"
#include "core/thread_pool.h"
#include "core/window.h"

namespace keras_bnn {

// x is [batch, vertical.input, horizontal.input, words], y the same with the outputs' sizes. Pixels outside the image
// do not take part. Channels whose bit is set in minimum, of `words` words, get the smallest value instead; null for
// none.
void MaxPool2D(const Word* x, std::int64_t batch, const Window& vertical, const Window& horizontal, int words,
               const Word* minimum, Word* y, ThreadPool& pool, int threads);

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_MAX_POOL2D_H_
