// BnnQuantize: the signs of float32 or int8 channels, or of x * multiplier + bias, as packed bits.
#include <algorithm>

#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

// Elements that a thread packs in a microsecond, about.
constexpr std::int64_t kElementsPerMicrosecond = 6000;
constexpr int kRowsPerTask = 64;

class Quantize : public Op {
 public:
  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources&) override {
    CheckInputCount(inputs, 1, 3);
    CheckOutputCount(outputs, 1, 1);
    const ElementType output = outputs[0].type;
    const TensorInfo& x = inputs[0];
    if (x.type != ElementType::kFloat32 && x.type != ElementType::kInt8) {
      Refuse("the input is %s; expected float32 or int8", NameOf(x.type));
    }
    CheckQuantization("the input", x);
    if (output != ElementType::kInt32) Refuse("the output is %s; expected int32 words", NameOf(output));
    if (x.rank() < 1) Refuse("the input is a scalar; expected at least 1 dimension");
    type_ = x.type;
    zero_point_ = x.zero_point;
    channels_ = x.last_dim();
    if (channels_ < 1) Refuse("the input has the shape %s; expected at least 1 channel", ShapeText(x.dims).c_str());
    rows_ = CheckedElements(x) / channels_;
    scaled_ = inputs.size() == 3;
    if (scaled_) {
      if (type_ != ElementType::kFloat32) {
        Refuse("the input is %s with a multiplier and a bias; expected float32", NameOf(type_));
      }
      CheckedConstant("multipliers", inputs[1], ElementType::kFloat32, {channels_});
      CheckedConstant("biases", inputs[2], ElementType::kFloat32, {channels_});
    }
    std::vector<int> dims = x.dims;
    dims.back() = WordsFor(channels_);
    return {dims};
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    const auto tasks = static_cast<int>(CeilDiv<std::int64_t>(rows_, kRowsPerTask));
    const int threads = resources.pool.UsefulThreads(resources.threads, rows_ * channels_ / kElementsPerMicrosecond);
    resources.pool.ParallelFor(tasks, threads, [&](int task, int) {
      const std::int64_t first = std::int64_t{task} * kRowsPerTask;
      const std::int64_t end = std::min(first + kRowsPerTask, rows_);
      Word* words = static_cast<Word*>(outputs[0]) + first * WordsFor(channels_);
      if (!scaled_ && channels_ % kWordBits == 0) {  // the rows' words are those of one long row
        return Pack(inputs, first * channels_, static_cast<int>((end - first) * channels_), words, resources.kernels);
      }
      for (std::int64_t row = first; row < end; ++row, words += WordsFor(channels_)) {
        Pack(inputs, row * channels_, channels_, words, resources.kernels);
      }
    });
  }

 private:
  // The values from `first`, of one row.
  void Pack(const std::vector<const void*>& inputs, std::int64_t first, int values, Word* words,
            const KernelSet& kernels) const {
    if (type_ == ElementType::kInt8) {
      kernels.pack_int8(static_cast<const std::int8_t*>(inputs[0]) + first, values, zero_point_, words);
    } else if (scaled_) {
      kernels.pack_scaled(static_cast<const float*>(inputs[0]) + first, values, static_cast<const float*>(inputs[1]),
                          static_cast<const float*>(inputs[2]), words);
    } else {
      kernels.pack_float(static_cast<const float*>(inputs[0]) + first, values, words);
    }
  }

  ElementType type_ = ElementType::kFloat32;
  std::int32_t zero_point_ = 0;
  int channels_ = 1;
  bool scaled_ = false;  // whether a multiplier and a bias follow x
  std::int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<Op> MakeQuantize(Options*) { return std::make_unique<Quantize>(); }

}  // namespace keras_bnn
