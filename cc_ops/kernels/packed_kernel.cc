#include "kernels/packed_kernel.h"

#include <bitset>

namespace keras_bnn {
namespace {

// Calls function(block, lane, o) for each output channel o.
template <typename Function>
void ForEachChannel(const KernelShape& shape, const Function& function) {
  const int group_channels = shape.group_channels_out();
  for (int o = 0; o < shape.channels_out; ++o) {
    const int in_group = o % group_channels;
    const std::size_t block =
        static_cast<std::size_t>(o / group_channels) * shape.group_blocks() + in_group / kWordBits;
    function(block, in_group % kWordBits, static_cast<std::size_t>(o));
  }
}

}  // namespace

std::vector<Word> PackForBits(const KernelSet& kernels, const Word* weights, const KernelShape& shape) {
  const std::size_t reduced_words = static_cast<std::size_t>(shape.taps) * shape.words;
  std::vector<Word> packed(
      ElementCount("the repacked kernel", sizeof(Word), {shape.blocks(), shape.taps, shape.words, kWordBits}));
  ForEachChannel(shape, [&](std::size_t block, int lane, std::size_t o) {
    for (std::size_t w = 0; w < reduced_words; ++w) {
      packed[(block * reduced_words + w) * kWordBits + lane] = weights[o * reduced_words + w];
    }
  });
  for (std::size_t i = 0; i < packed.size(); i += kWordBits) kernels.arrange_channels(packed.data() + i);
  return packed;
}

std::vector<Word> PackForReal(const Word* weights, const KernelShape& shape) {
  const std::size_t reduced = static_cast<std::size_t>(shape.taps) * shape.channels;
  std::vector<Word> packed(
      ElementCount("the repacked kernel", sizeof(Word), {shape.blocks(), shape.taps, shape.channels}));
  ForEachChannel(shape, [&](std::size_t block, int lane, std::size_t o) {
    for (int tap = 0; tap < shape.taps; ++tap) {
      const Word* tap_weights = weights + (o * shape.taps + tap) * shape.words;
      for (int c = 0; c < shape.channels; ++c) {
        const Word bit = tap_weights[c / kWordBits] >> (c % kWordBits) & 1u;
        packed[block * reduced + static_cast<std::size_t>(tap) * shape.channels + c] |= bit << lane;
      }
    }
  });
  return packed;
}

std::vector<std::int32_t> TapSums(const Word* weights, const KernelShape& shape) {
  std::vector<std::int32_t> sums(
      ElementCount("the sums of the taps", sizeof(std::int32_t), {shape.blocks(), shape.taps, kWordBits}));
  ForEachChannel(shape, [&](std::size_t block, int lane, std::size_t o) {
    for (int tap = 0; tap < shape.taps; ++tap) {
      std::int32_t negative = 0;
      const Word* tap_weights = weights + (o * shape.taps + tap) * shape.words;
      for (int w = 0; w < shape.words; ++w) {
        negative += static_cast<std::int32_t>(std::bitset<kWordBits>(tap_weights[w]).count());
      }
      sums[(block * shape.taps + tap) * kWordBits + lane] = shape.channels - 2 * negative;
    }
  });
  return sums;
}

}  // namespace keras_bnn
