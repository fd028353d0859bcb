// What turns the accumulators of a layer into its outputs: thresholds, or multiplier, bias and activations and then the
// steps, given as float32 or int8, as packed bits, or as both. Every op that sums uses this one.
//
// It works on what the accumulate functions leave: a tile of pixels and a block of 32 channels, a kilobyte that stays
// in the L1 cache from the first step to the last, so that a step costs its operand's memory traffic and little else.
// Of a tile of bits, the sums are not even made where thresholds or a float32 y without steps are the only output: the
// kernel set writes these from its counts.
#ifndef KERAS_BNN_KERNELS_EPILOGUE_H_
#define KERAS_BNN_KERNELS_EPILOGUE_H_

#include <cstdint>
#include <vector>

#include "kernels/kernel_set.h"
#include "kernels/packed_kernel.h"

namespace keras_bnn {

struct Range {
  float low, high;
};

enum class OutputType { kNone, kFloat32, kInt8 };

// One step as the file has it.
struct StepLayer {
  StepKind kind;
  const float* constant;  // [channels_out], or null: the operand is a tensor, or there is none
  bool is_int8;           // whether that tensor is, instead of float32
  float scale;            // of int8
  std::int32_t zero_point;
};

// What does not change with the size of the image. The pointers are read by the constructor of Epilogue only.
struct EpilogueLayer {
  OutputType y;                    // the first output, or kNone where the bits are the only one
  bool bits;                       // whether there are packed bits
  float scale;                     // of int8 y
  std::int32_t zero_point;         // the same
  Range pre_activation;            // limits of the accumulator
  Range activation;                // limits of y before the steps
  const float* multiplier;         // [channels_out], or null when thresholds are given
  const float* bias;               // the same
  const std::int32_t* thresholds;  // [channels_out], or null; only for int32 accumulators, bits alone and no steps
  std::vector<StepLayer> steps;
};

// How a step's operand lies in memory: a constant or nothing at all, a row of channels for each image, or one for each
// pixel.
enum class OperandShape { kChannels, kImages, kPixels };

// The data of a run. `operands` has one pointer for each step that reads an operand, in their order; those of constants
// are not read. `outputs` has y and the bits, as far as the layer has them.
struct EpilogueData {
  const void* const* operands;
  void* const* outputs;
};

class Epilogue {
 public:
  // Of `shape`, the groups and the output channels count.
  Epilogue(const KernelSet& kernels, const KernelShape& shape, const EpilogueLayer& layer);

  // For images of this size. `operands` has a shape for each step.
  void Resize(std::int64_t image_pixels, const std::vector<OperandShape>& operands);

  // Before each run.
  void Bind(const EpilogueData& data);

  // Before the pixels are finished, if SplitsWords(): the blocks of a pixel then set their bits one by one.
  void ClearBits(std::int64_t first_pixel, int pixels) const;

  // Finishes pixels that follow each other in the outputs. acc is [pixel][32]: the sums of the channels of one block,
  // counted as in kernels/packed_kernel.h. Sums of channels past a group's last do not matter. May run on several
  // threads at once, for other pixels or blocks.
  //
  // A float32 y that is complete already is a sum too: the multiplier 1 and the bias -0.0 change no value.
  void Finish(const std::int32_t* acc, std::int64_t first_pixel, int pixels, int block) const;
  void Finish(const float* acc, std::int64_t first_pixel, int pixels, int block) const;

  // The same for a tile of bits. Its values are what TurnIntoValues() makes of the sums that counts of 0 stand for.
  void Finish(const BinaryTile& tile, std::int64_t first_pixel, int block) const;

  // sums is [row][32], for the channels of one block.
  void TurnIntoValues(std::int32_t* sums, int rows, int block) const;

  // Whether a group's output bits begin inside a word, so that a word's blocks must be finished by one thread.
  bool SplitsWords() const { return splits_words_; }

 private:
  struct Operand {
    std::vector<float> constant;  // in blocks, or empty
    OperandShape shape = OperandShape::kChannels;
    const void* data = nullptr;  // of the run
  };

  // The channels of a block.
  struct Block {
    std::size_t lane;  // of its first channel, in per-channel values
    int first_channel, channels;
  };

  bool GivesFloatsAlone() const { return steps_.empty() && !bits_ && y_type_ == OutputType::kFloat32; }
  float* FloatsAt(std::int64_t pixel, const Block& block) const {
    return static_cast<float*>(y_) + pixel * shape_.channels_out + block.first_channel;
  }
  FloatTransform TransformOf(const Block& block) const;
  template <typename Acc>
  void FinishPixels(const Acc* acc, std::int64_t first_pixel, int pixels, const Block& block) const;
  template <typename Acc>
  void FinishSteps(const Acc* acc, std::int64_t first_pixel, int pixels, const Block& block) const;
  template <typename WriteWords>
  void WriteBits(std::int64_t first_pixel, int pixels, const Block& block, const WriteWords& write) const;

  const KernelSet* kernels_;
  KernelShape shape_;
  OutputType y_type_;
  bool bits_;
  float scale_;
  std::int32_t zero_point_;
  Range pre_activation_, activation_;
  std::vector<float> multiplier_, bias_;  // in blocks
  std::vector<std::int32_t> thresholds_;  // the same
  std::vector<Block> blocks_;
  bool splits_words_;
  std::vector<EpilogueStep> steps_;  // without the operands' addresses
  std::vector<Operand> operands_;    // per step
  std::int64_t image_pixels_ = 1;
  bool per_image_ = false;  // whether an operand is
  void* y_ = nullptr;       // of the run
  Word* words_ = nullptr;   // the same
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_EPILOGUE_H_
