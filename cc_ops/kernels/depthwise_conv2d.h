// Depthwise convolution on packed bits: output channel o reads input channel o / (O / C) alone.
//
// Bits of a word stay side by side: one xor compares a tap for 32 output channels, and the kernel set counts the
// differing bits of each channel. It takes a vector of neighbouring output pixels, so x is first turned: each word of a
// line lies beside the same word of the next pixel that is read with it, with the padding in its place. With several
// output channels for an input channel, each bit is repeated as often as it is read.
//
//     file:     [image, line][column][word]
//     turned:   [image, line that is read][word][run][pixel]      column = pixel * stride + the run's first
//
// So the words of a tap for the output pixels of a row are neighbours, whatever the stride. Taps whose columns lie a
// multiple of the stride apart share a run, and those beside the image for all outputs read a line of padding: however
// far taps lie apart, what is turned is in proportion to the image and the outputs. A task is a row of the output and a
// range of blocks.
#ifndef KERAS_BNN_KERNELS_DEPTHWISE_CONV2D_H_
#define KERAS_BNN_KERNELS_DEPTHWISE_CONV2D_H_

#include <cstdint>
#include <vector>

#include "core/memory_use.h"
#include "core/shared_array.h"
#include "core/tap_ranges.h"
#include "core/thread_pool.h"
#include "core/window.h"
#include "kernels/conv_layer.h"
#include "kernels/kernel_set.h"

namespace keras_bnn {

class DepthwiseConv2D {
 public:
  // `layer` has binary x, one group, weights [tap][WordsFor(channels_out)] and kernel.channels input channels, a
  // divisor of channels_out.
  DepthwiseConv2D(const KernelSet& kernels, const ConvLayer& layer);

  // Makes room for images of this size. `operands` has a shape for each step of the epilogue.
  void Resize(std::int64_t batch, const Window& vertical, const Window& horizontal, int threads,
              const std::vector<OperandShape>& operands);

  // x and the outputs are NHWC as in the file format. Must not run twice at the same time: the scratch is the object's.
  void Run(const void* x, const EpilogueData& data, ThreadPool& pool);

  MemoryUse Memory() const;

 private:
  // The scratch of one thread.
  struct Scratch {
    std::vector<Word> repeated;         // a pixel of x with a bit for each output channel
    std::vector<const Word*> taps;      // turned words, for each tap that counts
    std::vector<std::int32_t> bits;     // per output pixel: taps that count
    std::vector<std::int32_t> outside;  // and those that do not
  };

  // Pixels of a turned line that are a stride apart in x.
  struct PixelRun {
    std::int64_t first;       // column of its first pixel; may lie outside the image
    std::int64_t begin, end;  // pixels in the image
  };

  void PlaceLines();
  void PlaceRuns();
  void MarkPixelsInside();
  void Turn(const Word* x, ThreadPool& pool);
  void TurnLine(const Word* line, Word* turned, Word* repeated) const;
  void RunRow(std::int64_t image, int row, int first_block, int end_block, Scratch* scratch) const;

  void SetLeast(const std::int32_t* thresholds);

  int Words() const { return kernel_.blocks(); }  // of a pixel with a bit for each output channel
  std::int64_t WordSize() const { return static_cast<std::int64_t>(runs_.size()) * run_pixels_; }
  std::int64_t LineSize() const { return Words() * WordSize(); }

  const KernelSet* kernels_;
  KernelShape kernel_;
  int pad_value_;
  Epilogue epilogue_;

  SharedArray<Word> packed_kernel_;  // [block][tap]
  SharedArray<Word> least_;          // [block][even, odd][digit], see compare_depthwise_bits; or empty
  Word* words_ = nullptr;            // the bits of this run, when least_ is used

  std::int64_t batch_ = 0;
  Window vertical_, horizontal_;
  int threads_ = 1;
  TapRanges rows_inside_;
  std::vector<int> lines_;        // of an image, those that are read
  std::vector<int> line_places_;  // and for each line of an image, its place among them
  std::vector<PixelRun> runs_;
  std::int64_t run_pixels_ = 0;            // of each run
  std::vector<std::int64_t> tap_offsets_;  // of each column of taps, in the runs of a word; or kBesideTheImage
  std::vector<Word> turned_;
  std::vector<Word> padding_;  // of an output row, which for pad_value 0 also marks pixels outside the image

  // Only for pad_value 0: of the runs of a word, ~0 where there is a pixel of the image; for each tap, where its part
  // begins; per output pixel, how many columns of taps lie in the image; and per tile, whether all do.
  std::vector<Word> inside_;
  std::vector<const Word*> inside_taps_;
  std::vector<int> columns_inside_;
  std::vector<bool> tile_inside_;

  std::vector<Scratch> scratch_;  // per thread
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_DEPTHWISE_CONV2D_H_
