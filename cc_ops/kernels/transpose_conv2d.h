// Transposed convolution on packed bits, as a gather: each output pixel reads the input pixels that meet it.
//
// Output pixels of the same phase (position modulo stride, see core/transposed_window.h) meet the same taps, so the
// kernel is split into one small kernel for each phase, and the pixels of a phase are an ordinary convolution of stride
// 1 with it. A task is a panel, a piece of one row of the output: tiles of its pixels of one phase are accumulated, and
// put side by side with those of the other phases before they are written.
#ifndef KERAS_BNN_KERNELS_TRANSPOSE_CONV2D_H_
#define KERAS_BNN_KERNELS_TRANSPOSE_CONV2D_H_

#include <cstdint>
#include <vector>

#include "core/thread_pool.h"
#include "core/transposed_window.h"
#include "kernels/conv_layer.h"
#include "kernels/kernel_set.h"

namespace keras_bnn {

class TransposeConv2D {
 public:
  // Repacks the weights for `kernels`. `layer` has binary x and one group; of the windows, size and stride count.
  TransposeConv2D(const KernelSet& kernels, const ConvLayer& layer, const TransposedWindow& vertical,
                  const TransposedWindow& horizontal);

  // Makes room for images of this size. `operands` has a shape for each step of the epilogue.
  void Resize(std::int64_t batch, const TransposedWindow& vertical, const TransposedWindow& horizontal, int threads,
              const std::vector<OperandShape>& operands);

  // x and the outputs are NHWC as in the file format. Must not run twice at the same time: the scratch is the object's.
  void Run(const void* x, const EpilogueData& data, ThreadPool& pool);

 private:
  // The taps that the output pixels of one phase of rows and one of columns meet.
  struct Phase {
    int rows = 0, columns = 0;       // of taps
    std::vector<Word> packed;        // [block][tap][word][32]
    std::vector<std::int32_t> sums;  // [block][tap][32]: what a tap adds when x is +1 everywhere

    int taps() const { return rows * columns; }
  };

  struct TapOutside {
    int tap;    // of the tile's
    int pixel;  // of the tile
  };

  // Up to kMaxTilePixels output pixels of one phase.
  struct Tile {
    const Phase* phase;
    int first_tap, taps;      // those of the phase whose row lies in the image
    int first_pixel, pixels;  // of the panel; neighbours are a stride apart
    std::size_t rows;         // where its part of the panel's rows begins, [tap][kMaxTilePixels]
    std::size_t outside_end;  // where its part of the panel's outside ends
  };

  // The scratch of one thread.
  struct Panel {
    std::vector<Tile> tiles;
    std::vector<const Word*> rows;
    std::vector<TapOutside> outside;  // taps beside the image, tile after tile
    std::vector<std::int32_t> acc;    // [pixel][32]
  };

  const Phase& PhaseAt(int row, int column) const {
    return row < phase_rows_ && column < phase_columns_
               ? phases_[static_cast<std::size_t>(row) * phase_columns_ + column]
               : none_;
  }

  void FillTiles(const Word* x, int row, int first_column, int columns, Panel* panel) const;
  void AddTile(const Word* line, const Phase& phase, int first_tap, int taps, int first_column, int pixel, int pixels,
               Panel* panel) const;
  void RunPanel(std::int64_t first_pixel, int pixels, int first_block, int end_block, Panel* panel) const;
  void Accumulate(const Tile& tile, std::size_t outside_begin, int block, Panel* panel) const;

  const KernelSet* kernels_;
  KernelShape kernel_;  // of all phases together
  Epilogue epilogue_;

  int phase_rows_, phase_columns_;
  std::vector<Phase> phases_;      // those with taps, [phase of rows][phase of columns]
  Phase none_;                     // any other
  std::vector<Word> padding_row_;  // +1

  std::int64_t batch_ = 0;
  TransposedWindow vertical_, horizontal_;
  int threads_ = 1;
  std::vector<Panel> panels_;  // per thread
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_TRANSPOSE_CONV2D_H_
