// BnnDepthwiseConv2D: convolution of each channel by itself with a binary kernel.
#include "kernels/depthwise_conv2d.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/layer.h"
#include "ops/registry.h"
#include "ops/window_options.h"

namespace keras_bnn {
namespace {

struct DepthwiseConv2DOptions {
  int channels_in;
  WindowOptions window;
  EpilogueOptions epilogue;
};

class DepthwiseConv2DOp : public Op {
 public:
  explicit DepthwiseConv2DOp(DepthwiseConv2DOptions options) : options_(std::move(options)) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckTensors(inputs, outputs, options_.epilogue);
    const TensorInfo& x = inputs[0];
    CheckPackedImage(x, options_.channels_in);
    const KernelShape kernel = CheckedKernel(inputs);
    const Window vertical = options_.window.Vertical(x.dims[1], inputs[1].dims[0]);
    const Window horizontal = options_.window.Horizontal(x.dims[2], inputs[1].dims[1]);
    const Dims y = {x.dims[0], vertical.output, horizontal.output, kernel.channels_out};
    CheckedElements("the output", y);
    if (!conv_) {
      conv_.emplace(resources.kernels,
                    DescribeLayer(inputs, outputs, kernel, options_.epilogue, options_.window.pad_value));
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
  // The weights do not tell the number of output channels, only their words: the channel parameters do.
  KernelShape CheckedKernel(const std::vector<TensorInfo>& inputs) const {
    const int channels_out = inputs[2].last_dim();
    if (channels_out < 1 || channels_out % options_.channels_in != 0) {
      Refuse(
          "the third input has the shape %s; expected one value for each output channel, a multiple of channels_in %d",
          ShapeText(inputs[2].dims).c_str(), options_.channels_in);
    }
    const TensorInfo& weights = inputs[1];
    const int words = WordsFor(channels_out);
    CheckedConstant("weights", weights, ElementType::kInt32, {-1, -1, words});
    CheckUnusedBits(weights, channels_out);
    const std::int64_t taps = std::int64_t{weights.dims[0]} * weights.dims[1];
    CheckAccumulator(ElementType::kInt32, taps);
    return {1, channels_out, static_cast<int>(taps), words, options_.channels_in};
  }

  DepthwiseConv2DOptions options_;
  std::optional<DepthwiseConv2D> conv_;
};

}  // namespace

std::unique_ptr<Op> MakeDepthwiseConv2D(Options* options) {
  DepthwiseConv2DOptions conv = {};
  conv.channels_in = options->Required("channels_in", 1, std::numeric_limits<int>::max());
  conv.window = WindowOptions::From(options);
  conv.epilogue = EpilogueOptions::From(options);
  return std::make_unique<DepthwiseConv2DOp>(conv);
}

}  // namespace keras_bnn
