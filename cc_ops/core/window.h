// Where a sliding window (convolution kernel, pooling window) lies on one axis of the image.
#ifndef KERAS_BNN_CORE_WINDOW_H_
#define KERAS_BNN_CORE_WINDOW_H_

namespace keras_bnn {

enum class Padding { kSame = 0, kValid = 1, kExplicit = 2 };

// One axis: the output position o covers the input positions o * stride - pad + i * dilation, i in [0, size).
struct Window {
  int input = 1;     // pixels of the image
  int size = 1;      // taps
  int stride = 1;    // pixels between neighbouring outputs
  int dilation = 1;  // pixels between neighbouring taps
  int pad = 0;       // pixels before the image
  int output = 1;    // outputs

  // Whether an input position lies inside the image, and whether all taps do when the first one is at `first`.
  bool Contains(int position) const { return position >= 0 && position < input; }
  bool Covers(int first) const { return first >= 0 && first + (size - 1) * dilation < input; }

  // The window with `pad` and `output` filled in as TFLite does for SAME and VALID; for kExplicit from the given pads.
  // Refuses sizes that do not fit an int, and outputs of no pixels. `axis` names the axis in the sentence.
  static Window Place(const char* axis, int input, int size, int stride, int dilation, Padding padding, int pad_before,
                      int pad_after);
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_WINDOW_H_
