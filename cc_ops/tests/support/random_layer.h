// Random convolution layers and images, and what docs/format.md says that they give.
#ifndef KERAS_BNN_TESTS_SUPPORT_RANDOM_LAYER_H_
#define KERAS_BNN_TESTS_SUPPORT_RANDOM_LAYER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/window.h"
#include "kernels/any_conv2d.h"
#include "support/guarded_array.h"
#include "support/random.h"

namespace keras_bnn {

// The only output of a layer without steps.
enum class ConvOutput { kFloat32, kBits };

struct ConvShape {
  ConvInput input = ConvInput::kBits;
  int channels_in = 1, channels_out = 1, groups = 1;
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;
  Padding padding = Padding::kValid;
  int pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
  int pad_value = 0;

  Window Vertical(int height) const {
    return Window::Place("height", height, kernel_h, stride_h, dilation_h, padding, pad_top, pad_bottom);
  }
  Window Horizontal(int width) const {
    return Window::Place("width", width, kernel_w, stride_w, dilation_w, padding, pad_left, pad_right);
  }
  std::string Text() const;
};

// [batch, height, width, channels_in] values: +-1 for binary x, the stored integers for int8 and uint8.
struct Image {
  int batch, height, width;
  std::vector<float> values;
};

class RandomLayer {
 public:
  RandomLayer(const ConvShape& shape, Random* random);

  const ConvShape& shape() const { return shape_; }

  // For the constructor of AnyConv2D; points into this object.
  ConvLayer Describe(ConvOutput output) const;

  Image MakeImage(int batch, int height, int width, Random* random) const;

  // Runs `conv`, made from Describe(output) and sized for the image, and compares every value with plain arithmetic.
  void ExpectPlainOutput(AnyConv2D* conv, ConvOutput output, const Image& image, ThreadPool* pool, Edge edge) const;

 private:
  template <typename Acc>
  std::vector<Acc> PlainSums(const Image& image) const;
  template <typename Acc>
  void ExpectOutputOf(const std::vector<Acc>& sums, ConvOutput output, const unsigned char* y) const;
  GuardedArray<unsigned char> Stored(const Image& image, Edge edge) const;

  ConvShape shape_;
  std::int32_t zero_point_;
  Range pre_activation_, activation_;
  std::vector<int> signs_;     // of the weights, [O][tap][channel of the group]
  std::vector<Word> weights_;  // the same, packed
  std::vector<float> multiplier_, bias_;
  std::vector<std::int32_t> thresholds_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_RANDOM_LAYER_H_
