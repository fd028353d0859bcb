#include "core/tap_ranges.h"

#include <algorithm>

#include "core/element_count.h"
#include "core/layout.h"

namespace keras_bnn {
namespace {

// The taps inside the image of a window whose first tap lies at `first`.
TapRange RangeAt(const Window& window, int first) {
  const int begin = first >= 0 ? 0 : CeilDiv(-first, window.dilation);
  const int end = first >= window.input ? 0 : std::min(window.size, (window.input - 1 - first) / window.dilation + 1);
  return begin < end ? TapRange{begin, end} : TapRange{0, 0};
}

}  // namespace

// Both ends of the ranges with taps move in one direction, so each occurs for outputs that follow each other: but for
// outputs without taps, which may lie between any of them.
TapRanges::TapRanges(const Window& window) : ranges_{{0, window.size}} {
  index_.resize(ElementCount("the outputs of an axis", sizeof(int), {window.output}));
  int last = 0;  // the index of the last range with taps
  int none = 0;  // that of the range without, once it occurs
  for (int output = 0; output < window.output; ++output) {
    const TapRange range = RangeAt(window, output * window.stride - window.pad);
    int& index = range.begin < range.end ? last : none;
    if (ranges_[index] != range) {
      index = ranges_[0] == range ? 0 : count();
      if (index != 0) ranges_.push_back(range);
    }
    index_[output] = index;
  }
}

}  // namespace keras_bnn
