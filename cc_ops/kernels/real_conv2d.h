// Convolution of float32, int8 or uint8 x with a binary kernel: a first layer.
//
// As Conv2D for packed bits: a table holds one pointer per pixel and tap to the x under that tap, and the blocks of 32
// output channels take the panel's pixels tile by tile. Taps outside the image read a row of padding.
#ifndef KERAS_BNN_KERNELS_REAL_CONV2D_H_
#define KERAS_BNN_KERNELS_REAL_CONV2D_H_

#include <cstdint>
#include <vector>

#include "core/thread_pool.h"
#include "core/window.h"
#include "kernels/conv_layer.h"
#include "kernels/epilogue.h"
#include "kernels/kernel_set.h"
#include "kernels/packed_kernel.h"

namespace keras_bnn {

class RealConv2D {
 public:
  // `layer` has float32, int8 or uint8 x.
  RealConv2D(const KernelSet& kernels, const ConvLayer& layer);

  // Makes room for images of this size. `operands` has a shape for each step of the epilogue.
  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands);

  // x and the outputs are NHWC as in the file format. Must not run twice at the same time: the scratch is the object's.
  void Run(const void* x, const EpilogueData& data, ThreadPool& pool);

 private:
  template <typename X>
  void RunOn(const X* x, ThreadPool& pool);
  template <typename X>
  void RunPanel(const X* x, std::int64_t first_pixel, int pixels, int first_block, int end_block,
                std::vector<const void*>* table) const;
  template <typename X>
  void FillRows(const X* x, std::int64_t first_pixel, int pixels, const X** rows) const;

  std::int64_t PixelSize() const { return std::int64_t{kernel_.groups} * kernel_.channels; }  // values

  const KernelSet* kernels_;
  ConvInput input_;
  KernelShape kernel_;
  std::int32_t zero_point_;
  Epilogue epilogue_;

  std::vector<Word> packed_kernel_;
  std::vector<unsigned char> padding_row_;

  std::int64_t batch_ = 0;
  Window vertical_, horizontal_;
  int threads_ = 1;
  int panel_pixels_ = 1;
  std::vector<std::int64_t> tap_offsets_;         // of each tap from the first, in values of x
  std::vector<std::vector<const void*>> tables_;  // per thread: [tile][tap][pixel of the tile]
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_REAL_CONV2D_H_
