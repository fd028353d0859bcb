#include "kernels/epilogue.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/bit_range.h"

namespace keras_bnn {

Epilogue::Epilogue(const KernelSet& kernels, const KernelShape& shape, const EpilogueLayer& layer)
    : kernels_(&kernels),
      shape_(shape),
      y_type_(layer.y),
      bits_(layer.bits),
      scale_(layer.scale),
      zero_point_(layer.zero_point),
      pre_activation_(layer.pre_activation),
      activation_(layer.activation),
      splits_words_(layer.bits && shape.groups > 1 && shape.group_channels_out() % kWordBits != 0) {
  for (int i = 0; i < shape.blocks(); ++i) {
    const int first_in_group = i % shape.group_blocks() * kBlockChannels;
    blocks_.push_back({static_cast<std::size_t>(i) * kBlockChannels,
                       i / shape.group_blocks() * shape.group_channels_out() + first_in_group,
                       std::min(kBlockChannels, shape.group_channels_out() - first_in_group)});
  }
  if (layer.thresholds != nullptr) {
    thresholds_ = PackChannels(layer.thresholds, shape, std::numeric_limits<std::int32_t>::min());
  } else {
    multiplier_ = PackChannels(layer.multiplier, shape, 0.0f);
    bias_ = PackChannels(layer.bias, shape, 0.0f);
  }
  for (const StepLayer& from : layer.steps) {
    steps_.push_back({from.kind, from.is_int8, nullptr, 0, from.scale, from.zero_point});
    operands_.emplace_back();
    if (from.constant != nullptr) operands_.back().constant = PackChannels(from.constant, shape, 0.0f);
  }
}

void Epilogue::Resize(std::int64_t image_pixels, const std::vector<OperandShape>& operands) {
  image_pixels_ = image_pixels;
  per_image_ = false;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    operands_[i].shape = operands[i];
    per_image_ = per_image_ || operands[i] == OperandShape::kImages;
    steps_[i].stride = operands[i] == OperandShape::kPixels ? shape_.channels_out : 0;
  }
}

void Epilogue::Bind(const EpilogueData& data) {
  const void* const* next = data.operands;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (!ReadsOperand(steps_[i].kind)) continue;
    const std::vector<float>& constant = operands_[i].constant;
    operands_[i].data = constant.empty() ? *next : constant.data();
    ++next;
  }
  y_ = y_type_ == OutputType::kNone ? nullptr : data.outputs[0];
  words_ = bits_ ? static_cast<Word*>(data.outputs[y_type_ == OutputType::kNone ? 0 : 1]) : nullptr;
}

void Epilogue::ClearBits(std::int64_t first_pixel, int pixels) const {
  const int words = WordsFor(shape_.channels_out);
  std::memset(words_ + first_pixel * words, 0, static_cast<std::size_t>(pixels) * words * sizeof(Word));
}

void Epilogue::Finish(const std::int32_t* acc, std::int64_t first_pixel, int pixels, int block) const {
  FinishPixels(acc, first_pixel, pixels, blocks_[block]);
}

void Epilogue::Finish(const float* acc, std::int64_t first_pixel, int pixels, int block) const {
  FinishPixels(acc, first_pixel, pixels, blocks_[block]);
}

void Epilogue::Finish(const BinaryTile& tile, std::int64_t first_pixel, int block) const {
  const Block& at = blocks_[block];
  if (!thresholds_.empty()) {
    WriteBits(first_pixel, tile.pixels, at,
              [&](Word* words, std::int64_t stride) { kernels_->compare_bits(tile, words, stride); });
  } else if (GivesFloatsAlone()) {
    kernels_->floats_from_bits(tile, at.channels, TransformOf(at), FloatsAt(first_pixel, at), shape_.channels_out);
  } else {
    alignas(64) std::int32_t acc[kMaxTilePixels * kBlockChannels];
    kernels_->accumulate_bits(tile, acc);
    FinishPixels(acc, first_pixel, tile.pixels, at);
  }
}

void Epilogue::TurnIntoValues(std::int32_t* sums, int rows, int block) const {
  if (thresholds_.empty()) return;
  // sum - 2 * count < threshold is count > (sum - threshold) / 2, rounded down.
  const std::int32_t* thresholds = thresholds_.data() + blocks_[block].lane;
  for (int i = 0; i < rows * kBlockChannels; ++i) {
    sums[i] = static_cast<std::int32_t>((std::int64_t{sums[i]} - thresholds[i % kBlockChannels]) >> 1);
  }
}

FloatTransform Epilogue::TransformOf(const Block& block) const {
  return {multiplier_.data() + block.lane,
          bias_.data() + block.lane,
          pre_activation_.low,
          pre_activation_.high,
          activation_.low,
          activation_.high};
}

template <typename Acc>
void Epilogue::FinishPixels(const Acc* acc, std::int64_t first_pixel, int pixels, const Block& block) const {
  constexpr bool kFloat = std::is_same_v<Acc, float>;
  if (kFloat ? steps_.empty() && y_type_ == OutputType::kNone : !thresholds_.empty()) {
    const int tile = SplitsWords() ? kMaxTilePixels : pixels;
    for (int done = 0; done < pixels; done += tile, acc += tile * kBlockChannels) {
      const int count = std::min(tile, pixels - done);
      WriteBits(first_pixel + done, count, block, [&](Word* words, std::int64_t stride) {
        if constexpr (kFloat) {
          kernels_->bits_from_float(acc, count, TransformOf(block), words, stride);
        } else {
          kernels_->bits_from_int(acc, count, thresholds_.data() + block.lane, words, stride);
        }
      });
    }
  } else if (GivesFloatsAlone()) {
    float* y = FloatsAt(first_pixel, block);
    if constexpr (kFloat) {
      kernels_->floats_from_float(acc, pixels, block.channels, TransformOf(block), y, shape_.channels_out);
    } else {
      kernels_->floats_from_int(acc, pixels, block.channels, TransformOf(block), y, shape_.channels_out);
    }
  } else {
    for (int done = 0, count = 0; done < pixels; done += count) {
      const std::int64_t pixel = first_pixel + done;
      count = std::min(kMaxTilePixels, pixels - done);
      // One row of an operand for all pixels of a call: a tile that reaches into the next image is cut there.
      if (per_image_) count = static_cast<int>(std::min<std::int64_t>(count, image_pixels_ - pixel % image_pixels_));
      FinishSteps(acc + done * kBlockChannels, pixel, count, block);
    }
  }
}

template <typename Acc>
void Epilogue::FinishSteps(const Acc* acc, std::int64_t first_pixel, int pixels, const Block& block) const {
  EpilogueStep steps[kMaxSteps];
  const auto count = static_cast<int>(steps_.size());
  for (int i = 0; i < count; ++i) {
    steps[i] = steps_[i];
    const Operand& operand = operands_[i];
    if (operand.data == nullptr) continue;
    std::int64_t offset = static_cast<std::int64_t>(block.lane);
    if (operand.shape != OperandShape::kChannels) {
      const std::int64_t row = operand.shape == OperandShape::kPixels ? first_pixel : first_pixel / image_pixels_;
      offset = row * shape_.channels_out + block.first_channel;
    }
    const std::int64_t bytes = steps[i].is_int8 ? 1 : static_cast<std::int64_t>(sizeof(float));
    steps[i].operand = static_cast<const unsigned char*>(operand.data) + offset * bytes;
  }
  BlockOutputs outputs = {};
  const std::int64_t first = first_pixel * shape_.channels_out + block.first_channel;
  if (y_type_ == OutputType::kFloat32) outputs.floats = static_cast<float*>(y_) + first;
  if (y_type_ == OutputType::kInt8) outputs.int8s = static_cast<std::int8_t*>(y_) + first;
  outputs.stride = shape_.channels_out;
  outputs.scale = scale_;
  outputs.zero_point = zero_point_;
  outputs.used_bits = LowBits(block.channels);
  const auto finish = [&](Word* words, std::int64_t stride) {
    outputs.words = words;
    outputs.words_stride = stride;
    if constexpr (std::is_same_v<Acc, float>) {
      kernels_->finish_float(acc, pixels, block.channels, TransformOf(block), steps, count, outputs);
    } else {
      kernels_->finish_int(acc, pixels, block.channels, TransformOf(block), steps, count, outputs);
    }
  };
  if (bits_) {
    WriteBits(first_pixel, pixels, block, finish);
  } else {
    finish(nullptr, 0);
  }
}

// Calls write(words, stride) once, with the place of the block's word of the first pixel.
template <typename WriteWords>
void Epilogue::WriteBits(std::int64_t first_pixel, int pixels, const Block& block, const WriteWords& write) const {
  const int words_per_pixel = WordsFor(shape_.channels_out);
  Word* words = words_ + first_pixel * words_per_pixel;
  if (!SplitsWords()) return write(words + block.first_channel / kWordBits, words_per_pixel);
  Word block_words[kMaxTilePixels];
  write(block_words, 1);
  for (int p = 0; p < pixels; ++p) {
    InsertBits(block_words[p], block.first_channel, block.channels, words + p * words_per_pixel);
  }
}

}  // namespace keras_bnn
