// Where the taps of a transposed convolution land on one axis of its output.
#ifndef KERAS_BNN_CORE_TRANSPOSED_WINDOW_H_
#define KERAS_BNN_CORE_TRANSPOSED_WINDOW_H_

namespace keras_bnn {

// One axis: input position i and tap r meet at output position i * stride + r - pad.
//
// So an output position meets every stride-th tap only, and which ones depends on its phase, (position + pad) % stride.
struct TransposedWindow {
  int input = 1;   // pixels of the image
  int size = 1;    // taps
  int stride = 1;  // pixels of the output between neighbours of the image
  int pad = 0;     // pixels cut off before the output
  int output = 1;  // pixels

  int Phase(int position) const { return (position + pad) % stride; }

  // The number of taps of a phase: phase, phase + stride, ...
  int TapsOf(int phase) const { return phase < size ? (size - 1 - phase) / stride + 1 : 0; }

  // The input position under the first tap of the output position's phase; each further tap lies one before it. Both
  // may lie outside the image.
  int First(int position) const { return (position + pad) / stride; }

  bool Contains(int position) const { return position >= 0 && position < input; }

  // The window with `output` filled in: (input - 1) * stride + size - pad_before - pad_after pixels. Refuses sizes that
  // do not fit an int, and outputs of no pixels. `axis` names the axis in the sentence.
  static TransposedWindow Place(const char* axis, int input, int size, int stride, int pad_before, int pad_after);
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_TRANSPOSED_WINDOW_H_
