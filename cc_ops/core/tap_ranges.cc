#include "core/tap_ranges.h"

#include <algorithm>

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

TapRanges::TapRanges(const Window& window) : ranges_{{0, window.size}} {
  for (int output = 0; output < window.output; ++output) {
    const TapRange range = RangeAt(window, output * window.stride - window.pad);
    const auto same = [&](const TapRange& other) { return other.begin == range.begin && other.end == range.end; };
    const auto found = std::find_if(ranges_.begin(), ranges_.end(), same);
    index_.push_back(static_cast<int>(found - ranges_.begin()));
    if (found == ranges_.end()) ranges_.push_back(range);
  }
}

}  // namespace keras_bnn
