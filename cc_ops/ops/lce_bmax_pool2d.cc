// LceBMaxPool2d of Larq Compute Engine's files: BnnMaxPool2D under other names.
#include <limits>

#include "ops/registry.h"

namespace keras_bnn {

std::unique_ptr<Op> MakeLceBMaxPool2D(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  Options ours({{"window_h", options->Required("filter_height", 1, kMax)},
                {"window_w", options->Required("filter_width", 1, kMax)},
                {"stride_h", options->Required("stride_height", 1, kMax)},
                {"stride_w", options->Required("stride_width", 1, kMax)},
                {"padding", options->Required("padding", 0, 1)}});
  return MakeMaxPool2D(&ours);
}

}  // namespace keras_bnn
