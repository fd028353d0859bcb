// Convolution of packed bits with a binary kernel.
//
// Indirect convolution: for a panel of output pixels, a table holds one pointer per pixel and tap to the x under that
// tap; the kernel set walks the table, so x is not multiplied (no im2col). Taps outside the image read a row of
// padding. A zero is no value of a bit: its row holds +1, and what the +1s add (TapSums) is in the values that the
// kernel set starts from. These come from a table with a row for each set of taps that lie inside together, so that
// padding costs a tile nothing.
//
//     for each panel of pixels                       one task of the thread pool is a panel and a range of blocks;
//       for each block of 32 output channels         the weights of a block stay in the L1 cache for the whole panel
//         for each tile of the panel                 accumulators of a tile live in registers
//
// Taps that lie side by side in x are one span, which the kernel set takes for a tap of more words: a 3x3 kernel has 3
// pointers per pixel instead of 9, and longer loops. So that spans never leave a line, x is first copied into a frame
// of padded lines, where the image has padding at its sides.
//
// A dense layer is the case of one tap: the image is one pixel, and the batch is the rows.
#ifndef KERAS_BNN_KERNELS_CONV2D_H_
#define KERAS_BNN_KERNELS_CONV2D_H_

#include <cstdint>
#include <vector>

#include "core/memory_use.h"
#include "core/shared_array.h"
#include "core/tap_ranges.h"
#include "core/thread_pool.h"
#include "core/window.h"
#include "kernels/conv_layer.h"
#include "kernels/epilogue.h"
#include "kernels/kernel_set.h"
#include "kernels/packed_kernel.h"

namespace keras_bnn {

class Conv2D {
 public:
  // `layer` has binary x.
  Conv2D(const KernelSet& kernels, const ConvLayer& layer);

  // Makes room for images of this size. `operands` has a shape for each step of the epilogue.
  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands);

  // x and the outputs are NHWC as in the file format. Must not run twice at the same time: the scratch is the object's.
  void Run(const void* x, const EpilogueData& data, ThreadPool& pool);

  MemoryUse Memory() const;

 private:
  // The scratch of one thread.
  struct Panel {
    std::vector<const Word*> rows;      // [tile][span][pixel of the tile]
    std::vector<std::int64_t> origins;  // per pixel: of the window's first tap, in words from x; may lie outside
    std::vector<int> value_rows;        // per pixel: where its row of a block's values begins
  };

  void RunPanel(const Word* x, std::int64_t first_pixel, int pixels, int first_block, int end_block,
                Panel* panel) const;
  void PlacePixels(std::int64_t first_pixel, int pixels, Panel* panel) const;
  void FillRows(const Word* x, int pixels, Panel* panel) const;
  void PadRows(int value_row, const Word** rows) const;
  void FillValues();
  void PlaceSpans();
  void MakeFrame(std::int64_t line_pixels);
  const Word* Regroup(const Word* x, ThreadPool& pool);
  const Word* Enframe(const Word* x, int threads, ThreadPool& pool);

  std::int64_t PixelSize() const { return std::int64_t{kernel_.groups} * kernel_.words; }  // words

  const KernelSet* kernels_;
  KernelShape kernel_;
  std::int32_t offset_;
  Epilogue epilogue_;

  SharedArray<Word> packed_kernel_;
  SharedArray<std::int32_t> tap_sums_;  // only for padding with zeros
  std::vector<Word> padding_row_;       // as long as any span

  std::int64_t batch_ = 0;
  Window vertical_, horizontal_;
  int threads_ = 1;
  int panel_pixels_ = 1;
  int spans_ = 1;                // of a pixel
  int span_words_ = 1;           // of each
  std::int64_t line_words_ = 0;  // from a line of x, or of the frame, to the next
  std::int64_t first_word_ = 0;  // of the first output's first tap in its line
  TapRanges rows_inside_, columns_inside_;
  SharedArray<std::int32_t> values_;        // [block][of rows_inside_][of columns_inside_][32]
  std::vector<std::int64_t> span_offsets_;  // of each span from the first, in words
  std::vector<Panel> panels_;               // per thread
  std::vector<Word> regrouped_;             // x with each group's bits beginning at a word
  std::vector<Word> frame_;                 // x with its lines padded
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_CONV2D_H_
