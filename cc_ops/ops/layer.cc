#include "ops/layer.h"

#include "core/refusal.h"
#include "ops/checks.h"

namespace keras_bnn {
namespace {

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

void CheckAccumulator(ElementType x, std::int64_t inputs_per_output) {
  const bool eight_bits = x == ElementType::kInt8 || x == ElementType::kUInt8;
  // 2^22 * 255 and 2 * (2^30 - 1) are below 2^31; kernels double the count of differing bits.
  const std::int64_t most = eight_bits ? std::int64_t{1} << 22 : (std::int64_t{1} << 30) - 1;
  if (inputs_per_output > most) {
    Refuse("an output sums %lld inputs; expected at most %lld for %s x, so that the sum fits an int32",
           static_cast<long long>(inputs_per_output), static_cast<long long>(most), NameOf(x));
  }
}

ConvLayer DescribeLayer(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                        const KernelShape& kernel, const EpilogueOptions& epilogue, int pad_value) {
  const TensorInfo& x = inputs[0];
  CheckQuantization("the input", x);
  ConvLayer layer = {};
  layer.input = InputOf(x);
  layer.kernel = kernel;
  layer.pad_value = pad_value;
  layer.zero_point = x.zero_point;
  layer.weights = static_cast<const Word*>(inputs[1].constant);
  layer.epilogue = DescribeEpilogue(inputs, outputs, kernel.channels_out, x.type != ElementType::kFloat32, epilogue);
  const bool eight_bits = layer.input == ConvInput::kInt8 || layer.input == ConvInput::kUInt8;
  if (eight_bits && pad_value != 0) {
    Refuse("pad_value is %d with %s x; expected 0, or float32 x", pad_value, NameOf(x.type));
  }
  return layer;
}

}  // namespace keras_bnn
