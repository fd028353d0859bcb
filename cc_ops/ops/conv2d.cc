// BnnConv2D: convolution with a binary kernel.
#include <limits>
#include <optional>
#include <utility>

#include "core/refusal.h"
#include "kernels/any_conv2d.h"
#include "ops/checks.h"
#include "ops/layer.h"
#include "ops/registry.h"
#include "ops/window_options.h"

namespace keras_bnn {
namespace {

struct Conv2DOptions {
  int channels_in, groups;
  WindowOptions window;
  EpilogueOptions epilogue;
};

class Conv2DOp : public Op {
 public:
  explicit Conv2DOp(Conv2DOptions options) : options_(std::move(options)) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckTensors(inputs, outputs, options_.epilogue);
    const TensorInfo& x = inputs[0];
    CheckRank("the input", x, 4);
    CheckedElements(x);
    const KernelShape kernel = CheckedKernel(x, inputs[1]);
    const Window vertical = options_.window.Vertical(x.dims[1], inputs[1].dims[1]);
    const Window horizontal = options_.window.Horizontal(x.dims[2], inputs[1].dims[2]);
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
  KernelShape CheckedKernel(const TensorInfo& x, const TensorInfo& weights) const {
    const int channels_in = options_.channels_in;
    const int groups = options_.groups;
    const int expected = x.type == ElementType::kInt32 ? WordsFor(channels_in) : channels_in;
    if (x.dims[3] != expected) {
      Refuse("the input has the shape %s; expected %d %s last, for channels_in %d", ShapeText(x.dims).c_str(), expected,
             x.type == ElementType::kInt32 ? "words" : "channels", channels_in);
    }
    if (channels_in % groups != 0) Refuse("groups is %d; expected a divisor of channels_in %d", groups, channels_in);
    const int group_channels = channels_in / groups;
    const int words = WordsFor(group_channels);
    CheckedConstant("weights", weights, ElementType::kInt32, {-1, -1, -1, words});
    CheckUnusedBits(weights, group_channels);
    const int channels_out = weights.dims[0];
    if (channels_out % groups != 0)
      Refuse("groups is %d; expected a divisor of the %d output channels", groups, channels_out);
    const std::int64_t taps = std::int64_t{weights.dims[1]} * weights.dims[2];
    CheckAccumulator(x.type, taps * words * kWordBits);
    return {groups, channels_out, static_cast<int>(taps), words, group_channels};
  }

  Conv2DOptions options_;
  std::optional<AnyConv2D> conv_;
};

}  // namespace

std::unique_ptr<Op> MakeConv2D(Options* options) {
  constexpr int kMax = std::numeric_limits<int>::max();
  Conv2DOptions conv = {};
  conv.channels_in = options->Required("channels_in", 1, kMax);
  conv.groups = options->Optional("groups", 1, kMax, 1);
  conv.window = WindowOptions::From(options);
  conv.epilogue = EpilogueOptions::From(options);
  return std::make_unique<Conv2DOp>(conv);
}

}  // namespace keras_bnn
