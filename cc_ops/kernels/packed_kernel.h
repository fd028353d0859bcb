// Weights of a layer, repacked once from the file's order into the order in which kernel sets read them.
//
//     file:          [O][tap][word]                      bits of one output channel together
//     binary x:      [group][block][tap][word][32]       one word of 32 output channels side by side, or as the set
//                                                        arranges these
//     real x:        [group][block][tap][value]          one bit of 32 output channels in one word
//
// Blocks start anew in each group; the channels past the end of a group's last block have weights +1 (bits 0).
#ifndef KERAS_BNN_KERNELS_PACKED_KERNEL_H_
#define KERAS_BNN_KERNELS_PACKED_KERNEL_H_

#include <cstdint>
#include <vector>

#include "core/element_count.h"
#include "core/layout.h"
#include "kernels/kernel_set.h"

namespace keras_bnn {

struct KernelShape {
  int groups = 1;
  int channels_out = 1;  // of all groups
  int taps = 1;          // kernel height * kernel width
  int words = 1;         // words of a tap
  int channels = 1;      // used bits of a tap: input channels of one group

  int group_channels_out() const { return channels_out / groups; }
  int group_blocks() const { return WordsFor(group_channels_out()); }
  int blocks() const { return groups * group_blocks(); }
};

std::vector<Word> PackForBits(const KernelSet& kernels, const Word* weights, const KernelShape& shape);
std::vector<Word> PackForReal(const Word* weights, const KernelShape& shape);

// The sum of a tap's weights as +1 and -1, as [group][block][tap][32]: what a tap adds when x is +1 everywhere.
std::vector<std::int32_t> TapSums(const Word* weights, const KernelShape& shape);

// Per-channel values in blocks: [group][block][32], with `fill` past the end of each group.
template <typename T>
std::vector<T> PackChannels(const T* values, const KernelShape& shape, T fill) {
  std::vector<T> blocks(ElementCount("a constant of each channel", sizeof(T), {shape.blocks(), kWordBits}), fill);
  const int group_channels = shape.group_channels_out();
  for (int o = 0; o < shape.channels_out; ++o) {
    const int first_block = o / group_channels * shape.group_blocks();
    blocks[static_cast<std::size_t>(first_block) * kWordBits + o % group_channels] = values[o];
  }
  return blocks;
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_PACKED_KERNEL_H_
