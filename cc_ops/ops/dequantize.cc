// BnnDequantize: packed bits as float32 +1 and -1.
#include <algorithm>
#include <limits>

#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

class Dequantize : public Op {
 public:
  explicit Dequantize(int channels) : channels_(channels) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources&) override {
    CheckInputCount(inputs, 1, 1);
    CheckOutputCount(outputs, 1, 1);
    const ElementType output = outputs[0].type;
    const TensorInfo& x = inputs[0];
    if (x.type != ElementType::kInt32) Refuse("the input is %s; expected int32 words", NameOf(x.type));
    if (output != ElementType::kFloat32) Refuse("the output is %s; expected float32", NameOf(output));
    if (x.rank() < 1 || x.last_dim() != WordsFor(channels_)) {
      Refuse("the input has the shape %s; expected %d words last, for %d channels", ShapeText(x.dims).c_str(),
             WordsFor(channels_), channels_);
    }
    std::vector<int> dims = x.dims;
    dims.back() = channels_;
    rows_ = CheckedElements("the output", dims) / channels_;
    return {dims};
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs, const Resources&) override {
    const auto* words = static_cast<const Word*>(inputs[0]);
    auto* y = static_cast<float*>(outputs[0]);
    for (std::int64_t row = 0; row < rows_; ++row, words += WordsFor(channels_), y += channels_) {
      for (int c = 0; c < channels_; ++c) y[c] = (words[c / kWordBits] >> (c % kWordBits) & 1u) != 0 ? -1.0f : 1.0f;
    }
  }

 private:
  int channels_;
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<Op> MakeDequantize(Options* options) {
  return std::make_unique<Dequantize>(options->Required("channels", 1, std::numeric_limits<int>::max()));
}

}  // namespace keras_bnn
