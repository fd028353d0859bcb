// BnnFullyConnected: a dense layer with a binary kernel, as a convolution of one tap whose images are the rows.
#include <limits>
#include <optional>
#include <utility>

#include "core/refusal.h"
#include "kernels/any_conv2d.h"
#include "ops/checks.h"
#include "ops/layer.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

class FullyConnectedOp : public Op {
 public:
  FullyConnectedOp(int channels_in, EpilogueOptions epilogue)
      : channels_in_(channels_in), epilogue_(std::move(epilogue)) {}

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckTensors(inputs, outputs, epilogue_);
    const TensorInfo& x = inputs[0];
    const KernelShape kernel = CheckedKernel(x, inputs[1]);
    const int row = x.type == ElementType::kInt32 ? kernel.words : kernel.channels;
    Dims y = RowDims(x, row);
    y.back() = kernel.channels_out;
    CheckedElements("the output", y);
    if (!conv_) conv_.emplace(resources.kernels, DescribeLayer(inputs, outputs, kernel, epilogue_, 0));
    conv_->Resize(CheckedElements(x) / row, Window(), Window(), resources.threads,
                  CheckOperands(inputs, epilogue_, y, false));
    return OutputDims(outputs, y);
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    conv_->Run(inputs[0], DataOf(inputs, outputs), resources.pool);
  }

  MemoryUse Memory() const override { return conv_ ? conv_->Memory() : MemoryUse{}; }

 private:
  KernelShape CheckedKernel(const TensorInfo& x, const TensorInfo& weights) const {
    CheckedConstant("weights", weights, ElementType::kInt32, {-1, -1});
    const int channels_out = weights.dims[0];
    const int words = weights.dims[1];
    const bool fits = x.type == ElementType::kInt32 ? words >= WordsFor(channels_in_) : words == WordsFor(channels_in_);
    if (!fits) {
      Refuse("the weights have the shape %s; expected %d words last, for channels_in %d",
             ShapeText(weights.dims).c_str(), WordsFor(channels_in_), channels_in_);
    }
    CheckAccumulator(x.type, std::int64_t{words} * kWordBits);
    // A row of packed x may be an image, whose unused bits lie behind each pixel: the options do not tell where.
    x.type == ElementType::kInt32 ? CheckUsedBits(weights, channels_in_) : CheckUnusedBits(weights, channels_in_);
    return {1, channels_out, 1, words, channels_in_};
  }

  // The dimensions of x with the last one standing for a row: kept when x's last dimension is a row, else [rows, .].
  static Dims RowDims(const TensorInfo& x, int row) {
    const std::int64_t elements = CheckedElements(x);
    if (x.rank() >= 1 && x.last_dim() == row) return x.dims;
    std::int64_t tail = 1;
    for (int axis = x.rank() - 1; axis >= 0 && tail < row; --axis) tail *= x.dims[axis];
    if (tail != row) {
      Refuse("the input has the shape %s; expected last dimensions of %d elements together, a row of the weights",
             ShapeText(x.dims).c_str(), row);
    }
    return {static_cast<int>(elements / row), row};
  }

  int channels_in_;
  EpilogueOptions epilogue_;
  std::optional<AnyConv2D> conv_;
};

}  // namespace

std::unique_ptr<Op> MakeFullyConnected(Options* options) {
  const int channels_in = options->Required("channels_in", 1, std::numeric_limits<int>::max());
  return std::make_unique<FullyConnectedOp>(channels_in, EpilogueOptions::From(options));
}

}  // namespace keras_bnn
