// BnnMaxPool2D: max pooling of packed bits.
#include "kernels/max_pool2d.h"

#include <limits>

#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

struct MaxPoolOptions {
  int window_h, window_w;  // pixels
  int stride_h, stride_w;
  Padding padding;
};

class MaxPool2DOp : public Op {
 public:
  explicit MaxPool2DOp(const MaxPoolOptions& options) : options_(options) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckInputCount(inputs, 1, 2);
    CheckOutputCount(outputs, 1, 1);
    const ElementType output = outputs[0].type;
    const TensorInfo& x = inputs[0];
    if (x.type != ElementType::kInt32) Refuse("the input is %s; expected int32 words", NameOf(x.type));
    if (output != ElementType::kInt32) Refuse("the output is %s; expected int32 words", NameOf(output));
    CheckRank("the input", x, 4);
    CheckedElements(x);
    const int words = x.dims[3];
    if (words < 1) Refuse("the input has the shape %s; expected at least 1 word last", ShapeText(x.dims).c_str());
    const Word* minimum = nullptr;
    if (inputs.size() == 2) {
      minimum = static_cast<const Word*>(CheckedConstant("minimum", inputs[1], ElementType::kInt32, {words}));
    }
    const Window vertical =
        Window::Place("height", x.dims[1], options_.window_h, options_.stride_h, 1, options_.padding, 0, 0);
    const Window horizontal =
        Window::Place("width", x.dims[2], options_.window_w, options_.stride_w, 1, options_.padding, 0, 0);
    const std::vector<int> dims = {x.dims[0], vertical.output, horizontal.output, words};
    CheckedElements("the output", dims);
    pool_.Resize(x.dims[0], vertical, horizontal, words, minimum, resources.threads);
    return {dims};
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    pool_.Run(static_cast<const Word*>(inputs[0]), static_cast<Word*>(outputs[0]), resources.pool);
  }

  MemoryUse Memory() const override { return pool_.Memory(); }

 private:
  MaxPoolOptions options_;
  MaxPool2D pool_;
};

}  // namespace

std::unique_ptr<Op> MakeMaxPool2D(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  MaxPoolOptions pool = {};
  pool.window_h = options->Required("window_h", 1, kMax);
  pool.window_w = options->Required("window_w", 1, kMax);
  pool.stride_h = options->Optional("stride_h", 1, kMax, 1);
  pool.stride_w = options->Optional("stride_w", 1, kMax, 1);
  pool.padding = static_cast<Padding>(options->Required("padding", 0, 1));
  return std::make_unique<MaxPool2DOp>(pool);
}

}  // namespace keras_bnn
