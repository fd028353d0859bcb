#include "ops/layer.h"

#include <limits>

#include "core/refusal.h"
#include "ops/checks.h"

namespace keras_bnn {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// TFLite's numbers: none, ReLU, ReLU -1 to 1, ReLU6.
constexpr Range kActivationRanges[] = {{-kInfinity, kInfinity}, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};

ConvInput InputOf(const TensorInfo& x) {
  switch (x.type) {
    case ElementType::kInt32:
      return ConvInput::kBits;
    case ElementType::kFloat32:
      return ConvInput::kFloat32;
    case ElementType::kInt8:
      return ConvInput::kInt8;
    case ElementType::kUInt8:
      return ConvInput::kUInt8;
    case ElementType::kOther:
      break;
  }
  Refuse("the input is of %s; expected int32 words, float32, int8 or uint8", NameOf(x.type));
}

}  // namespace

Activations Activations::From(Options* options) {
  const int post = options->Optional("activation", 0, 3, 0);
  const int pre = options->Optional("pre_activation", 0, 3, 0);
  options->Optional("steps", 0, 0, 0);
  return {kActivationRanges[pre], kActivationRanges[post], pre != 0 || post != 0};
}

void CheckAccumulator(ElementType x, std::int64_t inputs_per_output) {
  const bool eight_bits = x == ElementType::kInt8 || x == ElementType::kUInt8;
  // 2^22 * 255 and 2 * (2^30 - 1) are below 2^31; kernels double the count of differing bits.
  const std::int64_t most = eight_bits ? std::int64_t{1} << 22 : (std::int64_t{1} << 30) - 1;
  if (inputs_per_output > most) {
    Refuse("an output sums %lld inputs; expected at most %lld for %s x, so that the sum fits an int32",
           static_cast<long long>(inputs_per_output), static_cast<long long>(most), NameOf(x));
  }
}

ConvLayer DescribeLayer(const std::vector<TensorInfo>& inputs, ElementType output, const KernelShape& kernel,
                        const Activations& activations, int pad_value) {
  const TensorInfo& x = inputs[0];
  CheckQuantization(x);
  ConvLayer layer = {};
  layer.input = InputOf(x);
  layer.kernel = kernel;
  layer.pad_value = pad_value;
  layer.zero_point = x.zero_point;
  layer.pre_activation = activations.pre;
  layer.activation = activations.post;
  if (output == ElementType::kFloat32) {
    layer.output = ConvOutput::kFloat32;
  } else if (output == ElementType::kInt32) {
    layer.output = ConvOutput::kBits;
  } else {
    Refuse("the output is of %s; expected float32, or int32 words", NameOf(output));
  }
  const bool integer_sums = x.type != ElementType::kFloat32;
  if (integer_sums && layer.output == ConvOutput::kBits) {
    if (inputs.size() != 3)
      Refuse("the op has %zu inputs; expected x, weights and thresholds for packed output", inputs.size());
    if (activations.any) Refuse("an activation comes with thresholds; expected none, the thresholds contain it");
    layer.thresholds = static_cast<const std::int32_t*>(
        CheckedConstant("thresholds", inputs[2], ElementType::kInt32, {kernel.channels_out}));
  } else {
    if (inputs.size() != 4) Refuse("the op has %zu inputs; expected x, weights, multiplier and bias", inputs.size());
    layer.multiplier = static_cast<const float*>(
        CheckedConstant("multipliers", inputs[2], ElementType::kFloat32, {kernel.channels_out}));
    layer.bias =
        static_cast<const float*>(CheckedConstant("biases", inputs[3], ElementType::kFloat32, {kernel.channels_out}));
  }
  const bool eight_bits = layer.input == ConvInput::kInt8 || layer.input == ConvInput::kUInt8;
  if (eight_bits && pad_value != 0) {
    Refuse("pad_value is %d with %s x; expected 0, or float32 x", pad_value, NameOf(x.type));
  }
  return layer;
}

}  // namespace keras_bnn
