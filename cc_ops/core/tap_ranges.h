// Which taps of a window lie inside the image, for each output of one axis.
//
// Taps outside are at the beginning or the end of a window, so those inside are a range; and only few ranges occur, at
// most 2 * size + 1, because both ends move in one direction as the window does. A table with an entry for each range
// of one axis and each of the other is what padding costs a convolution.
#ifndef KERAS_BNN_CORE_TAP_RANGES_H_
#define KERAS_BNN_CORE_TAP_RANGES_H_

#include <vector>

#include "core/window.h"

namespace keras_bnn {

// Taps [begin, end); an empty range is [0, 0).
struct TapRange {
  int begin, end;

  bool Contains(int tap) const { return tap >= begin && tap < end; }

  friend bool operator==(const TapRange& a, const TapRange& b) { return a.begin == b.begin && a.end == b.end; }
  friend bool operator!=(const TapRange& a, const TapRange& b) { return !(a == b); }
};

class TapRanges {
 public:
  explicit TapRanges(const Window& window);

  // The ranges that occur, each once. The one of index 0 is that of all taps, whether it occurs or not.
  int count() const { return static_cast<int>(ranges_.size()); }
  const TapRange& operator[](int index) const { return ranges_[index]; }

  // The index of an output's range.
  int IndexAt(int output) const { return index_[output]; }

 private:
  std::vector<TapRange> ranges_;
  std::vector<int> index_;  // per output
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_TAP_RANGES_H_
