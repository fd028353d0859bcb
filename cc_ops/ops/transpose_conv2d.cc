// BnnTransposeConv2D: transposed convolution of packed bits with a binary kernel.
#include "kernels/transpose_conv2d.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/layer.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

struct TransposeConv2DOptions {
  int channels_in;
  int stride_h, stride_w;                        // pixels
  int pad_top, pad_bottom, pad_left, pad_right;  // pixels
  EpilogueOptions epilogue;
};

class TransposeConv2DOp : public Op {
 public:
  explicit TransposeConv2DOp(TransposeConv2DOptions options) : options_(std::move(options)) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckTensors(inputs, outputs, options_.epilogue);
    const TensorInfo& x = inputs[0];
    CheckPackedImage(x, options_.channels_in);
    const KernelShape kernel = CheckedKernel(inputs[1]);
    const auto vertical = TransposedWindow::Place("height", x.dims[1], inputs[1].dims[1], options_.stride_h,
                                                  options_.pad_top, options_.pad_bottom);
    const auto horizontal = TransposedWindow::Place("width", x.dims[2], inputs[1].dims[2], options_.stride_w,
                                                    options_.pad_left, options_.pad_right);
    const Dims y = {x.dims[0], vertical.output, horizontal.output, kernel.channels_out};
    CheckedElements("the output", y);
    if (!conv_) {
      conv_.emplace(resources.kernels, DescribeLayer(inputs, outputs, kernel, options_.epilogue, 0), vertical,
                    horizontal);
    }
    conv_->Resize(x.dims[0], vertical, horizontal, resources.threads,
                  CheckOperands(inputs, options_.epilogue, y, true));
    return OutputDims(outputs, y);
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    conv_->Run(inputs[0], DataOf(inputs, outputs), resources.pool);
  }

  MemoryUse Memory() const override { return conv_ ? conv_->Memory() : MemoryUse{}; }

 private:
  KernelShape CheckedKernel(const TensorInfo& weights) const {
    const int words = WordsFor(options_.channels_in);
    CheckedConstant("weights", weights, ElementType::kInt32, {-1, -1, -1, words});
    CheckUnusedBits(weights, options_.channels_in);
    const std::int64_t taps = std::int64_t{weights.dims[1]} * weights.dims[2];
    CheckAccumulator(ElementType::kInt32, taps * words * kWordBits);
    return {1, weights.dims[0], static_cast<int>(taps), words, options_.channels_in};
  }

  TransposeConv2DOptions options_;
  std::optional<TransposeConv2D> conv_;
};

}  // namespace

std::unique_ptr<Op> MakeTransposeConv2D(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  TransposeConv2DOptions conv = {};
  conv.channels_in = options->Required("channels_in", 1, kMax);
  conv.stride_h = options->Optional("stride_h", 1, kMax, 1);
  conv.stride_w = options->Optional("stride_w", 1, kMax, 1);
  conv.pad_top = options->Optional("pad_top", 0, kMax, 0);
  conv.pad_bottom = options->Optional("pad_bottom", 1 - conv.stride_h, kMax, 0);
  conv.pad_left = options->Optional("pad_left", 0, kMax, 0);
  conv.pad_right = options->Optional("pad_right", 1 - conv.stride_w, kMax, 0);
  conv.epilogue = EpilogueOptions::From(options);
  return std::make_unique<TransposeConv2DOp>(conv);
}

}  // namespace keras_bnn
