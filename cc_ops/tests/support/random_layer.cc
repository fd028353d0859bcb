#include "support/random_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "support/plain.h"

namespace keras_bnn {
namespace {

constexpr Range kRanges[] = {kNoActivation, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};

template <typename T>
GuardedArray<unsigned char> BytesOfValues(const std::vector<T>& values, Edge edge) {
  GuardedArray<unsigned char> bytes(values.size() * sizeof(T), edge);
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

std::string ConvShape::Text() const {
  const char* const inputs[] = {"bits", "float32", "int8", "uint8"};
  const auto pair = [](int a, int b) { return std::to_string(a) + "x" + std::to_string(b); };
  return std::string(inputs[static_cast<int>(input)]) + ", channels " + std::to_string(channels_in) + " to " +
         std::to_string(channels_out) + ", groups " + std::to_string(groups) + ", kernel " + pair(kernel_h, kernel_w) +
         ", stride " + pair(stride_h, stride_w) + ", dilation " + pair(dilation_h, dilation_w) + ", padding " +
         std::to_string(static_cast<int>(padding)) + " (" + pair(pad_top, pad_bottom) + " " +
         pair(pad_left, pad_right) + ") with " + std::to_string(pad_value);
}

RandomLayer::RandomLayer(const ConvShape& shape, Random* random) : shape_(shape) {
  const int group_channels = shape.channels_in / shape.groups;
  const int reduced = shape.kernel_h * shape.kernel_w * group_channels;
  zero_point_ = shape.input == ConvInput::kInt8 ? random->Int(-128, 127) : random->Int(0, 255);
  pre_activation_ = kRanges[random->Int(0, 3)];
  activation_ = kRanges[random->Int(0, 3)];
  signs_ = random->Signs(shape.channels_out * reduced);
  weights_ = PackSigns(signs_, group_channels);
  multiplier_ = random->Floats(shape.channels_out);
  bias_ = random->Floats(shape.channels_out);
  const int step = shape.input == ConvInput::kBits ? 1 : 50;
  const int most = step * (1 + static_cast<int>(std::sqrt(static_cast<double>(reduced))));
  thresholds_ = random->Ints(shape.channels_out, -most, most);
  for (std::int32_t& threshold : thresholds_) {
    if (random->OneIn(10)) threshold = std::numeric_limits<std::int32_t>::min();
    if (random->OneIn(10)) threshold = std::numeric_limits<std::int32_t>::max();
  }
}

ConvLayer RandomLayer::Describe(ConvOutput output) const {
  const int group_channels = shape_.channels_in / shape_.groups;
  ConvLayer layer = {};
  layer.input = shape_.input;
  layer.epilogue.y = output == ConvOutput::kFloat32 ? OutputType::kFloat32 : OutputType::kNone;
  layer.epilogue.bits = output == ConvOutput::kBits;
  layer.kernel = {shape_.groups, shape_.channels_out, shape_.kernel_h * shape_.kernel_w, WordsFor(group_channels),
                  group_channels};
  layer.pad_value = shape_.pad_value;
  layer.zero_point = zero_point_;
  layer.epilogue.pre_activation = pre_activation_;
  layer.epilogue.activation = activation_;
  layer.weights = weights_.data();
  if (output == ConvOutput::kBits && shape_.input != ConvInput::kFloat32) {
    layer.epilogue.thresholds = thresholds_.data();
  } else {
    layer.epilogue.multiplier = multiplier_.data();
    layer.epilogue.bias = bias_.data();
  }
  return layer;
}

Image RandomLayer::MakeImage(int batch, int height, int width, Random* random) const {
  Image image = {batch, height, width, {}};
  for (int i = 0; i < batch * height * width * shape_.channels_in; ++i) {
    switch (shape_.input) {
      case ConvInput::kBits:
        image.values.push_back(static_cast<float>(random->Sign()));
        break;
      case ConvInput::kFloat32:
        image.values.push_back(random->Float());
        break;
      case ConvInput::kInt8:
        image.values.push_back(static_cast<float>(random->Int(-128, 127)));
        break;
      case ConvInput::kUInt8:
        image.values.push_back(static_cast<float>(random->Int(0, 255)));
        break;
    }
  }
  return image;
}

GuardedArray<unsigned char> RandomLayer::Stored(const Image& image, Edge edge) const {
  switch (shape_.input) {
    case ConvInput::kBits:
      return BytesOfValues(PackSigns({image.values.begin(), image.values.end()}, shape_.channels_in), edge);
    case ConvInput::kInt8:
      return BytesOfValues(std::vector<std::int8_t>(image.values.begin(), image.values.end()), edge);
    case ConvInput::kUInt8:
      return BytesOfValues(std::vector<std::uint8_t>(image.values.begin(), image.values.end()), edge);
    case ConvInput::kFloat32:
      break;
  }
  return BytesOfValues(image.values, edge);
}

// acc of every output pixel and channel, [batch, output height, output width, O].
template <typename Acc>
std::vector<Acc> RandomLayer::PlainSums(const Image& image) const {
  const bool eight_bits = shape_.input == ConvInput::kInt8 || shape_.input == ConvInput::kUInt8;
  const Acc zero_point = eight_bits ? static_cast<Acc>(zero_point_) : Acc{0};
  const Window vertical = shape_.Vertical(image.height);
  const Window horizontal = shape_.Horizontal(image.width);
  const int group_in = shape_.channels_in / shape_.groups;
  const int group_out = shape_.channels_out / shape_.groups;
  std::vector<Acc> sums;
  for (int n = 0; n < image.batch; ++n) {
    for (int row = 0; row < vertical.output; ++row) {
      for (int column = 0; column < horizontal.output; ++column) {
        for (int o = 0; o < shape_.channels_out; ++o) {
          Acc acc = 0;
          const int* weight = signs_.data() + o * (shape_.kernel_h * shape_.kernel_w * group_in);
          for (int i = 0; i < shape_.kernel_h; ++i) {
            for (int j = 0; j < shape_.kernel_w; ++j) {
              const int y = row * vertical.stride - vertical.pad + i * vertical.dilation;
              const int x = column * horizontal.stride - horizontal.pad + j * horizontal.dilation;
              const bool inside = 0 <= y && y < image.height && 0 <= x && x < image.width;
              for (int c = 0; c < group_in; ++c, ++weight) {
                Acc value = static_cast<Acc>(shape_.pad_value);
                if (inside) {
                  const int channel = o / group_out * group_in + c;
                  const int pixel = (n * image.height + y) * image.width + x;
                  value = static_cast<Acc>(image.values[pixel * shape_.channels_in + channel]) - zero_point;
                }
                acc = PlainStep(acc, value, *weight);
              }
            }
          }
          sums.push_back(acc);
        }
      }
    }
  }
  return sums;
}

template <typename Acc>
void RandomLayer::ExpectOutputOf(const std::vector<Acc>& sums, ConvOutput output, const unsigned char* y) const {
  const std::size_t channels = shape_.channels_out;
  const std::size_t words = WordsFor(shape_.channels_out);
  for (std::size_t pixel = 0; pixel < sums.size() / channels; ++pixel) {
    for (std::size_t o = 0; o < channels; ++o) {
      const Acc acc = sums[pixel * channels + o];
      const float expected = PlainTransform(acc, multiplier_[o], bias_[o], pre_activation_, activation_);
      if (output == ConvOutput::kFloat32) {
        float found;
        std::memcpy(&found, y + (pixel * channels + o) * sizeof(float), sizeof(float));
        ASSERT_TRUE(SameFloat(found, expected))
            << found << " and not " << expected << ", pixel " << pixel << " channel " << o;
        continue;
      }
      bool negative = expected < 0.0f;
      if constexpr (!std::is_same_v<Acc, float>) negative = acc < thresholds_[o];
      Word found;
      std::memcpy(&found, y + (pixel * words + o / 32) * sizeof(Word), sizeof(Word));
      ASSERT_EQ((found >> (o % 32)) & 1u, negative ? 1u : 0u)
          << "acc " << acc << ", pixel " << pixel << " channel " << o;
      if (o + 1 == channels && channels % 32 != 0) {
        ASSERT_EQ(found >> (channels % 32), 0u) << "unused bits of pixel " << pixel;
      }
    }
  }
}

void RandomLayer::ExpectPlainOutput(AnyConv2D* conv, ConvOutput output, const Image& image, ThreadPool* pool,
                                    Edge edge) const {
  SCOPED_TRACE(shape_.Text() + ", image " + std::to_string(image.batch) + "x" + std::to_string(image.height) + "x" +
               std::to_string(image.width) + (output == ConvOutput::kBits ? ", bits" : ", floats"));
  const int pixels = image.batch * shape_.Vertical(image.height).output * shape_.Horizontal(image.width).output;
  const int per_pixel = output == ConvOutput::kBits ? WordsFor(shape_.channels_out) : shape_.channels_out;
  const GuardedArray<unsigned char> x = Stored(image, edge);
  GuardedArray<unsigned char> y(pixels * per_pixel * 4, edge);
  std::fill(y.begin(), y.end(), static_cast<unsigned char>(0xa5));
  void* const outputs[] = {y.data()};
  conv->Run(x.data(), {nullptr, outputs}, *pool);
  if (shape_.input == ConvInput::kFloat32) {
    ExpectOutputOf(PlainSums<float>(image), output, y.data());
  } else {
    ExpectOutputOf(PlainSums<std::int32_t>(image), output, y.data());
  }
}

}  // namespace keras_bnn
