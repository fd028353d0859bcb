// Convolution of float32, int8 or uint8 x with a binary kernel: a first layer.
//
// The rows of x under a panel of output pixels are copied, with the padding in its place, so that a row of taps is a
// run of values and the kernel set needs one pointer for it, however many pixels there are. What a copy costs is little
// beside 32 or more output channels. int8 x becomes uint8 on the way; its zero point, and that of uint8 x, is taken off
// in the start of the sums.
//
//     for each panel: some rows and columns of the output     one task of the thread pool is a panel and a range of
//     blocks
//       for each block of 32 output channels
//         for each row of the panel                           x and the sums stay in the L1 cache
//
// A dense layer is the case of one tap, and all pixels of all images are one row then.
#ifndef KERAS_BNN_KERNELS_REAL_CONV2D_H_
#define KERAS_BNN_KERNELS_REAL_CONV2D_H_

#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/thread_pool.h"
#include "core/window.h"
#include "kernels/conv_layer.h"
#include "kernels/epilogue.h"
#include "kernels/kernel_set.h"
#include "kernels/packed_kernel.h"
#include "kernels/real_kernels.h"

namespace keras_bnn {

// X is float for float32 x, and std::uint8_t for both 8-bit types.
template <typename X>
class RealConv2D {
 public:
  RealConv2D(const KernelSet& kernels, const ConvLayer& layer);

  // Makes room for images of this size. `operands` has a shape for each step of the epilogue. The windows must have the
  // same numbers of taps each time.
  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands);

  // x and the outputs are NHWC as in the file format. Must not run twice at the same time: the scratch is the object's.
  void Run(const void* x, const EpilogueData& data, ThreadPool& pool);

 private:
  using Acc = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;

  // A part of the kernel of a block that is expanded at once: whole rows of taps, or a part of one.
  struct Chunk {
    int first_row, rows;
    int first_value, values;  // of a row
  };

  // Rows [row, row + rows) of an image's output, and of each the pixels [column, column + columns).
  struct Panel {
    std::int64_t image;
    int row, rows;
    int column, columns;
  };

  // The scratch of one thread.
  struct Scratch {
    std::vector<X> values;                // the copied rows of x
    std::vector<const X*> rows;           // of those, for each output row of the panel and row of taps
    std::vector<Acc> acc;                 // of a row of the panel; of all its rows if there are several chunks
    std::vector<unsigned char> expanded;  // a chunk of the kernel
  };

  void ExpandKernel();
  int RowsApart() const;
  Panel PanelAt(int index) const;
  void RunPanel(const X* x, const Panel& panel, int first_block, int end_block, Scratch* scratch) const;
  void RunBlock(const Panel& panel, int block, Scratch* scratch) const;
  const unsigned char* ExpandedChunk(int block, const Chunk& chunk, Scratch* scratch) const;
  void CopyRows(const X* x, const Panel& panel, Scratch* scratch) const;
  void CopyRow(const X* row, int first_pixel, int pixels, X* to) const;
  void CopyColumns(const X* row, std::int64_t first_column, std::int64_t columns, X* to) const;

  std::int64_t Steps() const { return std::int64_t{kernel_.taps} * kernel_.channels; }
  int RowLength() const { return static_cast<int>(Steps() / vertical_.size); }  // values of a row of taps
  std::int64_t FirstPixel(const Panel& panel, int row) const {                  // of the outputs
    return (panel.image * vertical_.output + panel.row + row) * horizontal_.output + panel.column;
  }
  std::int64_t CopiedColumns(int pixels) const {
    return (pixels - std::int64_t{1}) * pixel_columns_ + horizontal_.size;
  }

  const RealKernels<X, Acc>* kernels_;
  int steps_per_thread_;
  KernelShape kernel_;
  unsigned char flip_ = 0;  // what turns int8 x into uint8
  X padding_;               // x outside the image
  Epilogue epilogue_;
  std::vector<Word> packed_kernel_;  // [block][tap][value], bit = channel; empty when the whole kernel is expanded
  std::vector<Acc> start_;           // of the sums, [block][32]

  std::vector<Chunk> chunks_;
  std::vector<unsigned char> expanded_;  // the whole kernel, or empty: then Run expands chunks of it

  std::int64_t batch_ = 0;
  Window vertical_, horizontal_;
  int threads_ = 1;
  bool gathers_ = false;   // whether the taps of a row are brought together one by one
  int pixel_columns_ = 1;  // copied columns from an output pixel to the next
  int panel_rows_ = 1, panel_columns_ = 1;
  std::vector<Scratch> scratch_;  // per thread
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_REAL_CONV2D_H_
