#include "ops/window_options.h"

#include <limits>

namespace keras_bnn {

WindowOptions WindowOptions::From(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  WindowOptions window = {};
  window.stride_h = options->Optional("stride_h", 1, kMax, 1);
  window.stride_w = options->Optional("stride_w", 1, kMax, 1);
  window.dilation_h = options->Optional("dilation_h", 1, kMax, 1);
  window.dilation_w = options->Optional("dilation_w", 1, kMax, 1);
  window.padding = static_cast<Padding>(options->Required("padding", 0, 2));
  const int most = window.padding == Padding::kExplicit ? kMax : 0;
  window.pad_top = options->Optional("pad_top", 0, most, 0);
  window.pad_bottom = options->Optional("pad_bottom", 0, most, 0);
  window.pad_left = options->Optional("pad_left", 0, most, 0);
  window.pad_right = options->Optional("pad_right", 0, most, 0);
  window.pad_value = options->Optional("pad_value", -1, 1, 0);
  return window;
}

Window WindowOptions::Vertical(int height, int taps) const {
  return Window::Place("height", height, taps, stride_h, dilation_h, padding, pad_top, pad_bottom);
}

Window WindowOptions::Horizontal(int width, int taps) const {
  return Window::Place("width", width, taps, stride_w, dilation_w, padding, pad_left, pad_right);
}

}  // namespace keras_bnn
