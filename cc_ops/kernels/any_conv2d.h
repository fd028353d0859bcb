// The convolution for a layer's kind of x: Conv2D for packed bits, RealConv2D for numbers.
#ifndef KERAS_BNN_KERNELS_ANY_CONV2D_H_
#define KERAS_BNN_KERNELS_ANY_CONV2D_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/real_conv2d.h"

namespace keras_bnn {

class AnyConv2D {
 public:
  AnyConv2D(const KernelSet& kernels, const ConvLayer& layer) : conv_(Make(kernels, layer)) {}

  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands) {
    std::visit([&](auto& conv) { conv.Resize(batch, vertical, horizontal, threads, operands); }, conv_);
  }

  void Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
    std::visit([&](auto& conv) { conv.Run(x, data, pool); }, conv_);
  }

 private:
  using Any = std::variant<Conv2D, RealConv2D<float>, RealConv2D<std::uint8_t>>;

  static Any Make(const KernelSet& kernels, const ConvLayer& layer) {
    switch (layer.input) {
      case ConvInput::kFloat32:
        return Any(std::in_place_type<RealConv2D<float>>, kernels, layer);
      case ConvInput::kInt8:
      case ConvInput::kUInt8:
        return Any(std::in_place_type<RealConv2D<std::uint8_t>>, kernels, layer);
      case ConvInput::kBits:
        break;
    }
    return Any(std::in_place_type<Conv2D>, kernels, layer);
  }

  Any conv_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_ANY_CONV2D_H_
