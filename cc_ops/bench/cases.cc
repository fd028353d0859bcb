#include "bench/cases.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/thread_pool.h"
#include "core/transposed_window.h"
#include "core/window.h"
#include "kernels/any_conv2d.h"
#include "kernels/depthwise_conv2d.h"
#include "kernels/max_pool2d.h"
#include "kernels/transpose_conv2d.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

enum class Kind { kConv, kDepthwise, kTransposed };
enum class Output { kFloats, kBits };

// A layer with a square kernel on square images, SAME padding with zeros. Channels are multiples of 32, but for those
// that a first layer reads.
struct Shape {
  int size, channels_in, channels_out, kernel, stride = 1, batch = 1;
  Kind kind = Kind::kConv;
  ConvInput input = ConvInput::kBits;

  int taps() const { return kernel * kernel; }
  int words() const { return WordsFor(kind == Kind::kDepthwise ? channels_out : channels_in); }
  Window Axis() const { return Window::Place("image", size, kernel, stride, 1, Padding::kSame, 0, 0); }
  TransposedWindow TransposedAxis() const {
    const int excess = std::max(0, kernel - stride);
    return TransposedWindow::Place("image", size, kernel, stride, excess / 2, kernel - stride - excess / 2);
  }
  int output() const { return kind == Kind::kTransposed ? TransposedAxis().output : Axis().output; }

  std::int64_t Products() const {
    const std::int64_t pixels = std::int64_t{batch} * (kind == Kind::kTransposed ? size * size : output() * output());
    return pixels * channels_out * taps() * (kind == Kind::kDepthwise ? 1 : channels_in);
  }
};

constexpr std::int32_t kZeroPoint = 3;  // of int8 x
constexpr float kStep = 1.0f / 64;      // of float32 x: sums are exact in any order

// On one axis, the input position under a tap of an output position, or one outside the image.
int PositionUnder(const Shape& shape, int output, int tap) {
  if (shape.kind != Kind::kTransposed) return output * shape.stride - shape.Axis().pad + tap;
  const int distance = output + shape.TransposedAxis().pad - tap;
  return distance % shape.stride == 0 ? distance / shape.stride : -1;
}

// The sums of [batch, row, column, channel]: product(channel, tap, pixel) is what a tap adds.
template <typename Product>
std::vector<float> PlainSums(const Shape& shape, const Product& product) {
  std::vector<float> sums;
  const int output = shape.output();
  for (int place = 0; place < shape.batch * output * output; ++place) {
    for (int channel = 0; channel < shape.channels_out; ++channel) {
      float sum = 0.0f;
      for (int tap = 0; tap < shape.taps(); ++tap) {
        const int row = PositionUnder(shape, place / output % output, tap / shape.kernel);
        const int column = PositionUnder(shape, place % output, tap % shape.kernel);
        if (row < 0 || row >= shape.size || column < 0 || column >= shape.size) continue;
        sum += product(channel, tap, (place / output / output * shape.size + row) * shape.size + column);
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

bool Bit(const std::vector<Word>& words, std::int64_t row, int row_words, int bit) {
  return (words[row * row_words + bit / kWordBits] >> (bit % kWordBits) & 1u) != 0;
}

// The data of a layer, and what it has to give.
class Layer {
 public:
  Layer(const Shape& shape, Output output) : shape_(shape), output_(output) {
    Random random(1);
    const int kernels = shape.kind == Kind::kDepthwise ? 1 : shape.channels_out;
    weights_ = RandomWords(static_cast<std::int64_t>(kernels) * shape.taps(), &random);
    for (int channel = 0; channel < shape.channels_out; ++channel) {
      multiplier_.push_back(0.25f + static_cast<float>(channel % 7));
      bias_.push_back(static_cast<float>(random.Int(-99, 99)) / 8);
      thresholds_.push_back(random.Int(-9, 9));
    }
    MakeInput(&random);
    MakeExpected();
    pool.Grow(1);
  }

  const void* x() const {
    switch (shape_.input) {
      case ConvInput::kBits:
        return words_in_.data();
      case ConvInput::kFloat32:
        return floats_in_.data();
      default:
        return int8s_in_.data();
    }
  }

  EpilogueData data() {
    output_data_ = output_ == Output::kBits ? static_cast<void*>(words_.data()) : floats_.data();
    return {nullptr, &output_data_};
  }

  // For the constructors of the kernels; points into this object.
  ConvLayer Describe() const {
    ConvLayer layer = {};
    layer.input = shape_.input;
    layer.kernel = {1, shape_.channels_out, shape_.taps(), shape_.words(), shape_.channels_in};
    layer.zero_point = kZeroPoint;
    layer.weights = weights_.data();
    layer.epilogue.y = output_ == Output::kFloats ? OutputType::kFloat32 : OutputType::kNone;
    layer.epilogue.bits = output_ == Output::kBits;
    layer.epilogue.pre_activation = layer.epilogue.activation = kNoActivation;
    if (UsesThresholds()) {
      layer.epilogue.thresholds = thresholds_.data();
    } else {
      layer.epilogue.multiplier = multiplier_.data();
      layer.epilogue.bias = bias_.data();
    }
    return layer;
  }

  bool Right() const { return floats_ == expected_floats_ && words_ == expected_words_; }

  void Invalidate() {
    std::fill(floats_.begin(), floats_.end(), 0.1f);  // no sum of such numbers
    for (Word& word : words_) word = ~word;
  }

  ThreadPool pool;

 private:
  bool UsesThresholds() const { return output_ == Output::kBits && shape_.input != ConvInput::kFloat32; }

  std::vector<Word> RandomWords(std::int64_t rows, Random* random) const {
    std::vector<Word> words;
    const Word used = LowBits(shape_.words() == 1 && shape_.kind != Kind::kDepthwise ? shape_.channels_in : kWordBits);
    for (std::int64_t i = 0; i < rows * shape_.words(); ++i) words.push_back(random->Bits() & used);
    return words;
  }

  static Word LowBits(int count) { return ~Word{0} >> (kWordBits - count); }

  void MakeInput(Random* random) {
    const std::int64_t pixels = std::int64_t{shape_.batch} * shape_.size * shape_.size;
    if (shape_.input == ConvInput::kBits) {
      words_in_ = RandomWords(pixels, random);
      return;
    }
    for (std::int64_t i = 0; i < pixels * shape_.channels_in; ++i) {
      const int value = random->Int(-128, 127);
      int8s_in_.push_back(static_cast<std::int8_t>(value));
      floats_in_.push_back(static_cast<float>(value) * kStep);
    }
  }

  float Product(int channel, int tap, int pixel) const {
    const int words = shape_.words();
    if (shape_.kind == Kind::kDepthwise) {
      return Bit(words_in_, pixel, words, channel) == Bit(weights_, tap, words, channel) ? 1.0f : -1.0f;
    }
    const std::int64_t kernel_row = std::int64_t{channel} * shape_.taps() + tap;
    int differing = 0;
    float sum = 0.0f;
    for (int c = 0; c < shape_.channels_in && shape_.input != ConvInput::kBits; ++c) {
      const std::int64_t i = std::int64_t{pixel} * shape_.channels_in + c;
      const float value =
          shape_.input == ConvInput::kFloat32 ? floats_in_[i] : static_cast<float>(int8s_in_[i] - kZeroPoint);
      sum += Bit(weights_, kernel_row, words, c) ? -value : value;
    }
    if (shape_.input != ConvInput::kBits) return sum;
    for (int w = 0; w < words; ++w) {
      differing += __builtin_popcount(words_in_[std::int64_t{pixel} * words + w] ^ weights_[kernel_row * words + w]);
    }
    return static_cast<float>(shape_.channels_in - 2 * differing);
  }

  void MakeExpected() {
    const auto product = [this](int channel, int tap, int pixel) { return Product(channel, tap, pixel); };
    std::vector<int> signs;
    int channel = 0;
    for (const float sum : PlainSums(shape_, product)) {
      const float y = PlainTransform(sum, multiplier_[channel], bias_[channel], kNoActivation, kNoActivation);
      if (output_ == Output::kFloats) expected_floats_.push_back(y);
      const bool negative = UsesThresholds() ? sum < static_cast<float>(thresholds_[channel]) : y < 0;
      if (output_ == Output::kBits) signs.push_back(negative ? -1 : 1);
      channel = (channel + 1) % shape_.channels_out;
    }
    expected_words_ = PackSigns(signs, shape_.channels_out);
    floats_.resize(expected_floats_.size());
    words_.resize(expected_words_.size());
  }

  Shape shape_;
  Output output_;
  std::vector<Word> words_in_;
  std::vector<float> floats_in_;
  std::vector<std::int8_t> int8s_in_;
  std::vector<Word> weights_;
  std::vector<float> multiplier_, bias_;
  std::vector<std::int32_t> thresholds_;
  std::vector<float> floats_, expected_floats_;
  std::vector<Word> words_, expected_words_;
  void* output_data_ = nullptr;
};

// `op` is the layer's kernel object, sized for its images.
template <typename Op>
Bench BenchOf(const std::shared_ptr<Layer>& layer, const std::shared_ptr<Op>& op) {
  return {[layer, op] { op->Run(layer->x(), layer->data(), layer->pool); }, [layer] { return layer->Right(); },
          [layer] { layer->Invalidate(); }};
}

Case LayerCase(const std::string& name, const Shape& shape, Output output) {
  const auto make = [shape, output](const KernelSet& kernels) {
    const auto layer = std::make_shared<Layer>(shape, output);
    if (shape.kind == Kind::kTransposed) {
      const TransposedWindow axis = shape.TransposedAxis();
      auto op = std::make_shared<TransposeConv2D>(kernels, layer->Describe(), axis, axis);
      op->Resize(shape.batch, axis, axis, 1, {});
      return BenchOf(layer, op);
    }
    const Window axis = shape.Axis();
    if (shape.kind == Kind::kDepthwise) {
      auto op = std::make_shared<DepthwiseConv2D>(kernels, layer->Describe());
      op->Resize(shape.batch, axis, axis, 1, {});
      return BenchOf(layer, op);
    }
    auto op = std::make_shared<AnyConv2D>(kernels, layer->Describe());
    op->Resize(shape.batch, axis, axis, 1, {});
    return BenchOf(layer, op);
  };
  return {name + (output == Output::kBits ? ", to bits" : ", to float"), shape.Products(), make};
}

// Signs of real numbers, packed as BnnQuantize does: pack(kernels, data, first, values, words) packs `values` from
// `first`, which are rows of whole words.
constexpr int kPackRows = 28 * 28;
constexpr int kPackChannels = 128;
constexpr int kRowsTogether = 56;

struct PackData {
  std::vector<float> x, multiplier, bias;
  std::vector<std::int8_t> int8s;
  std::vector<Word> words, expected;
};

template <typename Pack, typename Negative>
Case PackCase(const std::string& name, float zero, const Pack& pack, const Negative& negative) {
  const auto make = [zero, pack, negative](const KernelSet& kernels) {
    const auto data = std::make_shared<PackData>();
    Random random(2);
    data->multiplier = random.Floats(kPackChannels);
    data->bias = random.Floats(kPackChannels);
    data->x = random.Floats(kPackRows * kPackChannels);
    for (float& value : data->x) value = value == 0 ? zero : value;
    std::vector<int> signs;
    for (int i = 0; i < kPackRows * kPackChannels; ++i) {
      data->int8s.push_back(static_cast<std::int8_t>(random.Int(-128, 127)));
      signs.push_back(negative(*data, i, i % kPackChannels) ? -1 : 1);
    }
    data->expected = PackSigns(signs, kPackChannels);
    data->words.resize(data->expected.size());
    const auto run = [pack, data, &kernels] {
      for (int row = 0; row < kPackRows; row += kRowsTogether) {
        pack(kernels, *data, row * kPackChannels, kRowsTogether * kPackChannels,
             data->words.data() + row * WordsFor(kPackChannels));
      }
    };
    return Bench{run, [data] { return data->words == data->expected; },
                 [data] { std::fill(data->words.begin(), data->words.end(), 0u); }};
  };
  return {name, std::int64_t{kPackRows} * kPackChannels, make};
}

// 2x2 and stride 2.
Case MaxPoolCase(const std::string& name, int size, int channels) {
  struct Data {
    std::vector<Word> x, y, expected;
    MaxPool2D op;
    ThreadPool pool;
  };
  const auto make = [size, channels](const KernelSet&) {
    const auto data = std::make_shared<Data>();
    const int words = WordsFor(channels);
    Random random(3);
    for (int i = 0; i < size * size * words; ++i) data->x.push_back(random.Bits() | random.Bits());
    for (int i = 0; i < size / 2 * (size / 2) * words; ++i) {
      const int pixel = i / words, row = pixel / (size / 2) * 2, column = pixel % (size / 2) * 2;
      const auto at = [&](int down, int right) {
        return data->x[((row + down) * size + column + right) * words + i % words];
      };
      data->expected.push_back(at(0, 0) & at(0, 1) & at(1, 0) & at(1, 1));
    }
    data->y.resize(data->expected.size());
    data->pool.Grow(1);
    const Window axis = Window::Place("image", size, 2, 2, 1, Padding::kValid, 0, 0);
    data->op.Resize(1, axis, axis, words, nullptr, 1);
    const auto run = [data] { data->op.Run(data->x.data(), data->y.data(), data->pool); };
    return Bench{run, [data] { return data->y == data->expected; },
                 [data] { std::fill(data->y.begin(), data->y.end(), 0u); }};
  };
  return {name, std::int64_t{size} * size * channels, make};
}

}  // namespace

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  const auto add = [&cases](const std::string& name, const Shape& shape) {
    for (const Output output : {Output::kFloats, Output::kBits}) cases.push_back(LayerCase(name, shape, output));
  };
  add("3x3, 56x56x64", {56, 64, 64, 3});
  add("3x3, 28x28x128", {28, 128, 128, 3});
  add("3x3, 14x14x256", {14, 256, 256, 3});
  add("3x3, 7x7x512", {7, 512, 512, 3});
  add("1x1, 14x14x256", {14, 256, 256, 1});
  add("dense 1024", {1, 1024, 1024, 1});
  add("dense 1024, batch 16", {1, 1024, 1024, 1, 1, 16});
  add("depthwise 3x3, 28x28x128", {28, 128, 128, 3, 1, 1, Kind::kDepthwise});
  add("transposed 3x3, 14x14x64", {14, 64, 64, 3, 2, 1, Kind::kTransposed});
  add("first 3x3, 28x28x3 to 32, float32", {28, 3, 32, 3, 1, 1, Kind::kConv, ConvInput::kFloat32});
  add("first 3x3, 28x28x3 to 32, int8", {28, 3, 32, 3, 1, 1, Kind::kConv, ConvInput::kInt8});
  const auto pack_floats = [](const KernelSet& kernels, const PackData& data, int first, int values, Word* words) {
    kernels.pack_float(data.x.data() + first, values, words);
  };
  const auto is_negative = [](const PackData& data, int i, int) { return data.x[i] < 0; };
  cases.push_back(PackCase("pack float32, 28x28x128", 0.0f, pack_floats, is_negative));
  cases.push_back(PackCase("pack float32 with -0.0, 28x28x128", -0.0f, pack_floats, is_negative));
  cases.push_back(PackCase(
      "pack int8, 28x28x128", 0.0f,
      [](const KernelSet& kernels, const PackData& data, int first, int values, Word* words) {
        kernels.pack_int8(data.int8s.data() + first, values, kZeroPoint, words);
      },
      [](const PackData& data, int i, int) { return data.int8s[i] < kZeroPoint; }));
  cases.push_back(PackCase(
      "pack scaled float32, 28x28x128", 0.0f,
      [](const KernelSet& kernels, const PackData& data, int first, int values, Word* words) {
        for (const int end = first + values; first < end; first += kPackChannels, words += WordsFor(kPackChannels)) {
          kernels.pack_scaled(data.x.data() + first, kPackChannels, data.multiplier.data(), data.bias.data(), words);
        }
      },
      [](const PackData& data, int i, int channel) {
        return PlainTransform(data.x[i], data.multiplier[channel], data.bias[channel], kNoActivation, kNoActivation) <
               0;
      }));
  cases.push_back(MaxPoolCase("max-pool 2x2, 28x28x128", 28, 128));
  return cases;
}

}  // namespace keras_bnn
