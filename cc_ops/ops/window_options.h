// How a convolution's kernel slides over the image: strides, dilations and padding of an op's options.
#ifndef KERAS_BNN_OPS_WINDOW_OPTIONS_H_
#define KERAS_BNN_OPS_WINDOW_OPTIONS_H_

#include "core/window.h"
#include "ops/options.h"

namespace keras_bnn {

struct WindowOptions {
  int stride_h, stride_w, dilation_h, dilation_w;  // pixels
  Padding padding;
  int pad_top, pad_bottom, pad_left, pad_right;  // pixels
  int pad_value;

  static WindowOptions From(Options* options);

  Window Vertical(int height, int taps) const;
  Window Horizontal(int width, int taps) const;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_WINDOW_OPTIONS_H_
