// LceDequantize of Larq Compute Engine's files: BnnDequantize, which finds the number of channels in the file's shape
// of its output.
#include "core/refusal.h"
#include "ops/checks.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

class LceDequantize : public Op {
 public:
  std::vector<Dims> Prepare(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                            const Resources& resources) override {
    CheckOutputCount(outputs, 1, 1);
    if (!op_) {
      if (outputs[0].last_dim() < 1) {
        Refuse("the output has the shape %s in the file; expected the number of channels last",
               ShapeText(outputs[0].dims).c_str());
      }
      Options options({{"channels", outputs[0].last_dim()}});
      op_ = MakeDequantize(&options);
    }
    return op_->Prepare(inputs, outputs, resources);
  }

  void Run(const std::vector<const void*>& inputs, const std::vector<void*>& outputs,
           const Resources& resources) override {
    op_->Run(inputs, outputs, resources);
  }

 private:
  std::unique_ptr<Op> op_;
};

}  // namespace

std::unique_ptr<Op> MakeLceDequantize(Options*) { return std::make_unique<LceDequantize>(); }

}  // namespace keras_bnn
