// The inner loops of the library, once per instruction set.
//
// All kernel sets share one plan: a vector lane is an output channel. The 32 output channels of a block sit side by
// side in the repacked weights (kernels/packed_kernel.h), a word or value of x is broadcast to all lanes, and so the
// accumulators of a block come out as plain int32 or float32 rows, with no sum across lanes at the end and no lane
// wasted when few channels come in.
//
//     kernel: word [tap][word of x][channel 0 .. 31]      acc[channel] += popcount(x ^ kernel)
//
// 32 channels are one word of packed output, so a block writes whole words. `rows` is a table of pointers, one per tap
// and pixel, to the x of that tap (indirect convolution: no im2col); a tap outside the image points to a row of
// padding. A dense layer is the case of one tap. Real x has functions of its own (kernels/real_kernels.h).
//
// The counts of binary x become outputs while they are still in registers: each channel's count is compared with a
// limit for packed bits, or taken off a start for float32. What padding adds is no work of the inner loops: pixels at
// the border have limits or starts of their own.
//
// Every set gives the same bits: integers are exact, and a float lane adds its values one after the other in the order
// of the file format, whatever the vector width.
#ifndef KERAS_BNN_KERNELS_KERNEL_SET_H_
#define KERAS_BNN_KERNELS_KERNEL_SET_H_

#include <cstdint>

#include "core/layout.h"
#include "kernels/real_kernels.h"

namespace keras_bnn {

// Output channels of a block: the channels of one packed output word.
constexpr int kBlockChannels = kWordBits;

// The most pixels that any set takes in one call, but for the functions of a BinaryTile.
constexpr int kMaxTilePixels = 8;

// The same for those.
constexpr int kMaxBinaryPixels = 64;

// Taps that compare_depthwise_bits counts, and the binary digits of a number one larger.
constexpr int kMostCompared = 15;
constexpr int kComparedDigits = 5;

// A tile of pixels and a block of a convolution of bits: count[pixel][channel] = popcount(x ^ kernel), summed over taps
// and words.
struct BinaryTile {
  const Word* const* rows;  // [pixel / kMaxTilePixels][tap][pixel % kMaxTilePixels]; those past `pixels` are not read
  int pixels;               // at most KernelSet::binary_pixels
  int taps, words;          // at least 1; the words of a tap
  const Word* kernel;       // [tap][word][channel], the 32 words of each [tap][word] in the set's order
  // Each pixel has a row of 32 values, one for each channel: values + value_rows[pixel].
  const std::int32_t* values;
  const int* value_rows;
};

// What turns accumulators into float outputs: y = clamp(clamp(acc, pre) * multiplier + bias, post), one rounding per
// operation.
struct FloatTransform {
  const float* multiplier;  // per channel of the block
  const float* bias;        // per channel of the block
  float pre_low, pre_high;
  float low, high;
};

// What a step after the sums does to y (docs/format.md); the values are the digits of the option `steps`.
enum class StepKind : std::uint8_t {
  kAdd = 1,
  kMultiply = 2,
  kDivide = 3,
  kPRelu = 4,
  kRelu = 5,
  kReluN1To1 = 6,
  kRelu6 = 7,
  kOutput = 8,  // y is given as it is now
};

constexpr int kMaxSteps = 15;

constexpr bool ReadsOperand(StepKind kind) { return kind <= StepKind::kPRelu; }

// One step for a block of 32 channels.
struct EpilogueStep {
  StepKind kind;
  bool is_int8;         // whether the operand is, instead of float32
  const void* operand;  // of the first pixel and channel
  std::int64_t stride;  // values from a pixel to the next; 0: all pixels read the same
  float scale;          // of int8
  std::int32_t zero_point;
};

// Where the values of a block go: at most one of floats and int8s, and words or not.
struct BlockOutputs {
  float* floats;
  std::int8_t* int8s;
  std::int64_t stride;  // values of y from a pixel to the next
  float scale;          // of int8s
  std::int32_t zero_point;
  Word* words;
  std::int64_t words_stride;
  Word used_bits;  // those of the block's channels; the others become 0
};

struct KernelSet {
  const char* name;

  // Pixels per call of the functions of a BinaryTile: a multiple of kMaxTilePixels, at most kMaxBinaryPixels.
  int binary_pixels;

  // Work that takes about as long as to wake a thread, in steps: one word or value of x times the 32 channels of a
  // block.
  int steps_per_thread;

  // Puts the words of 32 channels, for one tap and word of x, into the order in which the functions of BinaryTile read
  // them.
  void (*arrange_channels)(Word* words);

  // acc[pixel][channel] = value - 2 * count. For a sum of products, the value is the number of used bits of all taps.
  void (*accumulate_bits)(const BinaryTile& tile, std::int32_t* acc);

  // The same sums turned into float outputs: y[pixel * stride + channel] for the first `channels` of the block.
  void (*floats_from_bits)(const BinaryTile& tile, int channels, const FloatTransform& transform, float* y,
                           std::int64_t stride);

  // words[pixel * stride]: bit = count > value. Values that no count exceeds give the bits of channels past the layer's
  // last.
  void (*compare_bits)(const BinaryTile& tile, Word* words, std::int64_t stride);

  // Each channel by itself, for the 32 channels of a word and pixels [first, first + pixels), at most kMaxTilePixels
  // of a row: acc[pixel][channel] = bits[first + pixel] - 2 * (taps whose x and kernel differ in the channel's bit).
  // x[tap] has a word for each pixel of the row, kernel one word for each tap. Where inside[tap] has the word 0 for a
  // pixel, the tap does not count; it has ~0 elsewhere, and `inside` may be null. Rows must be readable to first +
  // kMaxTilePixels.
  void (*accumulate_depthwise_bits)(const Word* const* x, const Word* const* inside, int first, int pixels, int taps,
                                    const Word* kernel, const std::int32_t* bits, std::int32_t* acc);

  // The same sums compared with thresholds: bit = acc < threshold, in words[pixel * stride]. outside[first + pixel] is
  // the number of the kernel's taps that do not count; with those that do, there are at most kMostCompared. With
  // `least` taps or more that differ, and half of those outside, acc is below the threshold: least[i] has digit i of
  // the 32 channels' numbers, 0 to kMostCompared + 1, and least[kComparedDigits + i] that of the numbers for a
  // threshold that is 1 higher, which stand where an odd number is outside.
  void (*compare_depthwise_bits)(const Word* const* x, const Word* const* inside, int first, int pixels, int taps,
                                 const Word* kernel, const std::int32_t* outside, const Word* least, Word* words,
                                 std::int64_t stride);

  // For real x.
  FloatKernels floats;
  ByteKernels bytes;

  // y[pixel * stride + channel] for the first `channels` of the block.
  void (*floats_from_int)(const std::int32_t* acc, int pixels, int channels, const FloatTransform& transform, float* y,
                          std::int64_t stride);
  void (*floats_from_float)(const float* acc, int pixels, int channels, const FloatTransform& transform, float* y,
                            std::int64_t stride);

  // words[pixel * stride]: bit = acc < threshold, or y < 0. Channels past the layer's last have threshold -2^31 or
  // multiplier and bias 0, so their bits are 0.
  void (*bits_from_int)(const std::int32_t* acc, int pixels, const std::int32_t* thresholds, Word* words,
                        std::int64_t stride);
  void (*bits_from_float)(const float* acc, int pixels, const FloatTransform& transform, Word* words,
                          std::int64_t stride);

  // y = transform(acc), then the steps, then the outputs: what kernels/epilogue.h does in one call. Reads and writes
  // the first `channels` of the block only; there are at most kMaxSteps steps.
  void (*finish_int)(const std::int32_t* acc, int pixels, int channels, const FloatTransform& transform,
                     const EpilogueStep* steps, int step_count, const BlockOutputs& outputs);
  void (*finish_float)(const float* acc, int pixels, int channels, const FloatTransform& transform,
                       const EpilogueStep* steps, int step_count, const BlockOutputs& outputs);

  // The signs of one row of x as WordsFor(channels) words: bit = x < 0, or x < zero_point.
  void (*pack_float)(const float* x, int channels, Word* words);
  void (*pack_int8)(const std::int8_t* x, int channels, std::int32_t zero_point, Word* words);

  // The signs of x * multiplier + bias, each with `channels` values; one rounding for the product and one for the sum.
  void (*pack_scaled)(const float* x, int channels, const float* multiplier, const float* bias, Word* words);
};

// The sets of this build, best first; the last one is "scalar".
int KernelSetCount();
const KernelSet& KernelSetAt(int index);
bool KernelSetSupported(int index);

// The set named `name`, or the best supported one when `name` is null or empty.
// Refuses a name that is unknown or does not run on this CPU, with the list of those that do.
const KernelSet& ChooseKernelSet(const char* name);

extern const KernelSet kScalarKernels;
#if defined(__x86_64__)
extern const KernelSet kAvx2Kernels;
extern const KernelSet kAvx512VpopcntdqKernels;
#elif defined(__aarch64__) || defined(__arm__)
extern const KernelSet kNeonKernels;
#if defined(KERAS_BNN_SVE2)
extern const KernelSet kSve2Kernels;
#endif
#if defined(KERAS_BNN_SME2)
extern const KernelSet kSme2Kernels;
#endif
#endif

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_KERNEL_SET_H_
