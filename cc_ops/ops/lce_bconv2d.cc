// LceBconv2d of Larq Compute Engine's files: the convolution of BnnConv2D, with Larq's arithmetic behind the sums.
//
// Larq counts m, the bits that differ, of all K inputs of an output, so that acc = K - 2 m. It computes
// float32(clamped 2 m) * a + b, where a = -multiplier / scale and b = (bias + K * multiplier) / scale + zero_point are
// rounded to float32 once (scale 1 and zero point 0 for float32 y), and rounds that for int8 y, halves away from 0. To
// round where Larq rounds, the sums here are acc - K = -2 m, times -a. Bits are m > threshold: -2 m < -2 threshold.
#include <algorithm>
#include <limits>
#include <optional>

#include "core/refusal.h"
#include "kernels/conv2d.h"
#include "ops/checks.h"
#include "ops/epilogue.h"
#include "ops/layer.h"
#include "ops/registry.h"
#include "ops/window_options.h"

namespace keras_bnn {
namespace {

constexpr std::size_t kMultiplier = 2, kBias = 3, kThresholds = 4;  // inputs

struct LceBConv2DOptions {
  int channels_in;
  WindowOptions window;
  Range activation;  // limits of acc
};

class LceBConv2DOp : public Op {
 public:
  explicit LceBConv2DOp(const LceBConv2DOptions& options) : options_(options) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckInputs(inputs);
    CheckOutputCount(outputs, 1, 1);
    const TensorInfo& x = inputs[0];
    CheckPackedImage(x, options_.channels_in);
    const KernelShape kernel = CheckedKernel(inputs[1]);
    const Window vertical = options_.window.Vertical(x.dims[1], inputs[1].dims[1]);
    const Window horizontal = options_.window.Horizontal(x.dims[2], inputs[1].dims[2]);
    const Dims y = {x.dims[0], vertical.output, horizontal.output, kernel.channels_out};
    CheckedElements("the output", y);
    if (!conv_) MakeConv(inputs, outputs[0], kernel, resources.kernels);
    conv_->Resize(x.dims[0], vertical, horizontal, resources.threads, {});
    return OutputDims(outputs, y);
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    conv_->Run(inputs[0], {nullptr, outputs.data()}, resources.pool);
  }

  MemoryUse Memory() const override { return conv_ ? conv_->Memory() : MemoryUse{}; }

 private:
  static void CheckInputs(const std::vector<TensorInfo>& inputs) {
    if (inputs.size() != 5) {
      Refuse("the op has %zu inputs; expected 5: x, weights, multiplier, bias and thresholds", inputs.size());
    }
    if (inputs[0].absent || inputs[1].absent) Refuse("x or the weights are left out; expected both");
  }

  // The groups are not among the options: the weights have as many words as the input channels of one.
  KernelShape CheckedKernel(const TensorInfo& weights) const {
    CheckedConstant("weights", weights, ElementType::kInt32, {-1, -1, -1, -1});
    const int words_in = WordsFor(options_.channels_in);
    const int words = weights.dims[3];
    const int groups = words_in / words;
    const int group_channels = groups == 0 ? 0 : options_.channels_in / groups;
    const bool whole_words = groups == 1 || options_.channels_in % kWordBits == 0;
    if (groups < 1 || words_in % words != 0 || !whole_words || weights.dims[0] % groups != 0) {
      Refuse(
          "the weights have the shape %s, for channels_in %d; expected %d words last, or a divisor of it for groups "
          "of whole words and as many output channels each",
          ShapeText(weights.dims).c_str(), options_.channels_in, words_in);
    }
    const std::int64_t taps = std::int64_t{weights.dims[1]} * weights.dims[2];
    CheckAccumulator(ElementType::kInt32, taps * words * kWordBits);
    return {groups, weights.dims[0], static_cast<int>(taps), words, group_channels};
  }

  void MakeConv(const std::vector<TensorInfo>& inputs, const TensorInfo& output, const KernelShape& kernel,
                const KernelSet& kernels) {
    const int inputs_per_output = kernel.taps * kernel.channels;
    const auto shift = static_cast<float>(inputs_per_output);
    ConvLayer layer = {};
    layer.input = ConvInput::kBits;
    layer.kernel = kernel;
    layer.pad_value = options_.window.pad_value;
    layer.offset = -inputs_per_output;
    layer.weights = static_cast<const Word*>(inputs[1].constant);
    EpilogueLayer& epilogue = layer.epilogue;
    epilogue.pre_activation = {options_.activation.low - shift, options_.activation.high - shift};
    epilogue.activation = {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
    epilogue.scale = 1.0f;  // the multiplier and the bias contain that of y, and its zero point
    std::vector<float> multiplier, bias;
    std::vector<std::int32_t> thresholds;
    switch (output.type) {
      case ElementType::kInt32:
        epilogue.bits = true;
        thresholds = Thresholds(inputs, kernel.channels_out);
        epilogue.thresholds = thresholds.data();
        break;
      case ElementType::kFloat32:
      case ElementType::kInt8: {
        const bool is_int8 = output.type == ElementType::kInt8;
        if (is_int8) CheckQuantization("the output", output);
        epilogue.y = is_int8 ? OutputType::kInt8 : OutputType::kFloat32;
        const double scale = is_int8 ? output.scale : 1.0;
        const double zero_point = is_int8 ? output.zero_point : 0.0;
        const float* multipliers = ChannelValues("multipliers", inputs[kMultiplier], kernel.channels_out);
        const float* biases = ChannelValues("biases", inputs[kBias], kernel.channels_out);
        for (int o = 0; o < kernel.channels_out; ++o) {
          const double product = inputs_per_output * static_cast<double>(multipliers[o]);
          multiplier.push_back(static_cast<float>(multipliers[o] / scale));
          bias.push_back(static_cast<float>((biases[o] + product) / scale + zero_point));
        }
        epilogue.multiplier = multiplier.data();
        epilogue.bias = bias.data();
        break;
      }
      default:
        Refuse("the output is of %s; expected float32, int8, or int32 words", NameOf(output.type));
    }
    conv_.emplace(kernels, layer);
  }

  static const float* ChannelValues(const char* what, const TensorInfo& values, int channels_out) {
    if (values.absent) Refuse("the %s are left out; expected them, since the output is no packed bits", what);
    return static_cast<const float*>(CheckedConstant(what, values, ElementType::kFloat32, {channels_out}));
  }

  static std::vector<std::int32_t> Thresholds(const std::vector<TensorInfo>& inputs, int channels_out) {
    if (inputs[kThresholds].absent) Refuse("the thresholds are left out; expected them for packed output");
    const auto* values = static_cast<const std::int32_t*>(
        CheckedConstant("thresholds", inputs[kThresholds], ElementType::kInt32, {channels_out}));
    std::vector<std::int32_t> thresholds;
    for (int o = 0; o < channels_out; ++o) {
      const std::int64_t doubled = std::int64_t{-2} * values[o];
      thresholds.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(
          doubled, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max())));
    }
    return thresholds;
  }

  LceBConv2DOptions options_;
  std::optional<Conv2D> conv_;
};

}  // namespace

std::unique_ptr<Op> MakeLceBConv2D(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  LceBConv2DOptions conv = {};
  conv.channels_in = options->Required("channels_in", 1, kMax);
  conv.window.stride_h = options->Required("stride_height", 1, kMax);
  conv.window.stride_w = options->Required("stride_width", 1, kMax);
  conv.window.dilation_h = options->Required("dilation_height_factor", 1, kMax);
  conv.window.dilation_w = options->Required("dilation_width_factor", 1, kMax);
  conv.window.padding = static_cast<Padding>(options->Required("padding", 0, 1));
  conv.window.pad_value = options->Required("pad_values", 0, 1);
  conv.activation = ActivationRange(options->Required("fused_activation_function", 0, 3));
  return std::make_unique<LceBConv2DOp>(conv);
}

}  // namespace keras_bnn
