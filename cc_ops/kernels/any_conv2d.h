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
  AnyConv2D(const KernelSet& kernels, const ConvLayer& layer)
      : conv_(layer.input == ConvInput::kBits ? Either(std::in_place_type<Conv2D>, kernels, layer)
                                              : Either(std::in_place_type<RealConv2D>, kernels, layer)) {}

  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands) {
    std::visit([&](auto& conv) { conv.Resize(batch, vertical, horizontal, threads, operands); }, conv_);
  }

  void Run(const void* x, const EpilogueData& data, ThreadPool& pool) {
    std::visit([&](auto& conv) { conv.Run(x, data, pool); }, conv_);
  }

 private:
  using Either = std::variant<Conv2D, RealConv2D>;

  Either conv_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_ANY_CONV2D_H_
