// BnnDequantize: packed bits as +1 and -1, float32 or quantized to int8.
#include <algorithm>
#include <limits>

#include "core/refusal.h"
#include "kernels/round_to_int8.h"
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
    const TensorInfo& x = inputs[0];
    if (x.type != ElementType::kInt32) Refuse("the input is %s; expected int32 words", NameOf(x.type));
    type_ = outputs[0].type;
    if (type_ != ElementType::kFloat32 && type_ != ElementType::kInt8) {
      Refuse("the output is %s; expected float32 or int8", NameOf(type_));
    }
    CheckQuantization("the output", outputs[0]);
    if (type_ == ElementType::kInt8) {  // the file may say anything of a float32 tensor
      plus_ = RoundToInt8(1.0f, outputs[0].scale, outputs[0].zero_point);
      minus_ = RoundToInt8(-1.0f, outputs[0].scale, outputs[0].zero_point);
    }
    CheckedElements(x);
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
    if (type_ == ElementType::kFloat32) {
      Expand(words, 1.0f, -1.0f, static_cast<float*>(outputs[0]));
    } else {
      Expand(words, plus_, minus_, static_cast<std::int8_t*>(outputs[0]));
    }
  }

 private:
  template <typename Y>
  void Expand(const Word* words, Y plus, Y minus, Y* y) const {
    for (std::int64_t row = 0; row < rows_; ++row, words += WordsFor(channels_), y += channels_) {
      for (int c = 0; c < channels_; ++c) y[c] = (words[c / kWordBits] >> (c % kWordBits) & 1u) != 0 ? minus : plus;
    }
  }

  ElementType type_ = ElementType::kFloat32;  // of y
  std::int8_t plus_ = 1, minus_ = -1;         // +1 and -1 as int8
  int channels_;
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<Op> MakeDequantize(Options* options) {
  return std::make_unique<Dequantize>(options->Required("channels", 1, std::numeric_limits<int>::max()));
}

}  // namespace keras_bnn
