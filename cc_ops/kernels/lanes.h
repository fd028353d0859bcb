// The parts of a kernel set that are the same C++ for every instruction set, compiled once per set with that set's
// flags.
//
// A set includes this file inside its own translation unit and hands over
//   - Lanes, with two static functions on 32 lanes:
//         Word NegativeBits(const float* x)                              bit = x[i] < 0
//         Word LessBits(const std::int32_t* a, const std::int32_t* b)    bit = a[i] < b[i]
//   - CountTile<P>, whose Run counts for a BinaryTile of exactly P pixels and calls finish(pixel, counts) for each one.
//     The counts are a class of the set, so that they can be registers, with
//         void Sums(const std::int32_t* starts, std::int32_t* acc)                    acc[i] = starts[i] - 2 * count
//         void Floats(const std::int32_t* starts, const FloatTransform& t, float* y)  y[i] = t(the same)
//         Word Exceed(const std::int32_t* limits)                                     bit = count > limits[i]
//     StoredCounts is one, for counts in memory;
//   - Real, the functions for real x.
// The loops over 32 lanes below have constant bounds and plain bodies; compilers turn them into vector code. Everything
// is in an unnamed namespace and no inline function of the standard library is used, but in constants: a copy of one,
// compiled for a newer CPU, could otherwise be the one that the linker keeps for the whole library.
#ifndef KERAS_BNN_KERNELS_LANES_H_
#define KERAS_BNN_KERNELS_LANES_H_

#include <cstdint>
#include <limits>

#include "kernels/depthwise_lanes.h"
#include "kernels/kernel_set.h"
#include "kernels/round_to_int8.h"

#if defined(__FAST_MATH__)
#error "-ffast-math changes what float operations give: the file format promises the same bits everywhere"
#endif

namespace keras_bnn {
namespace {

template <typename Lanes>
struct Transforms {
  static float Clamp(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
  }

  template <typename Acc>
  static void TransformBlock(const Acc* acc, const FloatTransform& t, float* y) {
    for (int i = 0; i < kBlockChannels; ++i) {
      const float clamped = Clamp(static_cast<float>(acc[i]), t.pre_low, t.pre_high);
      const float product = clamped * t.multiplier[i];
      y[i] = Clamp(product + t.bias[i], t.low, t.high);
    }
  }

  static bool HasLimits(const FloatTransform& t) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return t.pre_low > -kInfinity || t.pre_high < kInfinity || t.low > -kInfinity || t.high < kInfinity;
  }

  // Calls use(pixel, y) for each pixel. The transform is copied, so that no output can change it and the compiler may
  // keep it in registers.
  template <bool kHasLimits, typename Acc, typename Use>
  static void ForEachTransformed(const Acc* acc, int pixels, const FloatTransform& t, const Use& use) {
    const FloatTransform limits = t;
    float multiplier[kBlockChannels], bias[kBlockChannels];
    for (int i = 0; i < kBlockChannels; ++i) multiplier[i] = t.multiplier[i];
    for (int i = 0; i < kBlockChannels; ++i) bias[i] = t.bias[i];
    for (int p = 0; p < pixels; ++p, acc += kBlockChannels) {
      float y[kBlockChannels];
      for (int i = 0; i < kBlockChannels; ++i) {
        const float sum = static_cast<float>(acc[i]);
        const float product = (kHasLimits ? Clamp(sum, limits.pre_low, limits.pre_high) : sum) * multiplier[i];
        y[i] = product + bias[i];
        if (kHasLimits) y[i] = Clamp(y[i], limits.low, limits.high);
      }
      use(p, y);
    }
  }

  template <typename Acc, typename Use>
  static void ForEachTransformed(const Acc* acc, int pixels, const FloatTransform& t, const Use& use) {
    if (HasLimits(t)) {
      ForEachTransformed<true>(acc, pixels, t, use);
    } else {
      ForEachTransformed<false>(acc, pixels, t, use);
    }
  }

  template <typename Acc>
  static void Floats(const Acc* acc, int pixels, int channels, const FloatTransform& t, float* y, std::int64_t stride) {
    if (channels == kBlockChannels) {
      ForEachTransformed(acc, pixels, t, [=](int p, const float (&block)[kBlockChannels]) {
        for (int i = 0; i < kBlockChannels; ++i) y[p * stride + i] = block[i];
      });
    } else {
      ForEachTransformed(acc, pixels, t, [=](int p, const float (&block)[kBlockChannels]) {
        for (int i = 0; i < channels; ++i) y[p * stride + i] = block[i];
      });
    }
  }

  static void BitsFromInt(const std::int32_t* acc, int pixels, const std::int32_t* thresholds, Word* words,
                          std::int64_t stride) {
    std::int32_t limits[kBlockChannels];  // a copy, which `words` cannot change
    for (int i = 0; i < kBlockChannels; ++i) limits[i] = thresholds[i];
    for (int p = 0; p < pixels; ++p) words[p * stride] = Lanes::LessBits(acc + p * kBlockChannels, limits);
  }

  static void BitsFromFloat(const float* acc, int pixels, const FloatTransform& t, Word* words, std::int64_t stride) {
    ForEachTransformed(acc, pixels, t, [=](int p, const float (&block)[kBlockChannels]) {
      words[p * stride] = Lanes::NegativeBits(block);
    });
  }

  // y = function(y, operand) for each channel of each pixel.
  template <typename Function>
  static void ForEachLane(const EpilogueStep& step, int pixels, int channels, float* y, const Function& function) {
    for (int p = 0; p < pixels; ++p, y += kBlockChannels) {
      float block[kBlockChannels];
      const float* operand = block;
      if (step.is_int8) {
        const std::int8_t* q = static_cast<const std::int8_t*>(step.operand) + p * step.stride;
        if (channels == kBlockChannels) {
          for (int i = 0; i < kBlockChannels; ++i) block[i] = static_cast<float>(q[i] - step.zero_point) * step.scale;
        } else {
          for (int i = 0; i < channels; ++i) block[i] = static_cast<float>(q[i] - step.zero_point) * step.scale;
          for (int i = channels; i < kBlockChannels; ++i) block[i] = 0.0f;
        }
      } else {
        const float* row = static_cast<const float*>(step.operand) + p * step.stride;
        if (channels == kBlockChannels) {
          operand = row;
        } else {
          for (int i = 0; i < channels; ++i) block[i] = row[i];
          for (int i = channels; i < kBlockChannels; ++i) block[i] = 0.0f;
        }
      }
      for (int i = 0; i < kBlockChannels; ++i) y[i] = function(y[i], operand[i]);
    }
  }

  static void ClampBlocks(int pixels, float low, float high, float* y) {
    for (int i = 0; i < pixels * kBlockChannels; ++i) y[i] = Clamp(y[i], low, high);
  }

  static void ApplyStep(const EpilogueStep& step, int pixels, int channels, float* y) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    switch (step.kind) {
      case StepKind::kAdd:
        return ForEachLane(step, pixels, channels, y, [](float x, float a) { return x + a; });
      case StepKind::kMultiply:
        return ForEachLane(step, pixels, channels, y, [](float x, float a) { return x * a; });
      case StepKind::kDivide:
        return ForEachLane(step, pixels, channels, y, [](float x, float a) { return x / a; });
      case StepKind::kPRelu:
        return ForEachLane(step, pixels, channels, y, [](float x, float a) {
          const float product = x * a;
          return x < 0.0f ? product : x;
        });
      case StepKind::kRelu:
        return ClampBlocks(pixels, 0.0f, kInfinity, y);
      case StepKind::kReluN1To1:
        return ClampBlocks(pixels, -1.0f, 1.0f, y);
      case StepKind::kRelu6:
        return ClampBlocks(pixels, 0.0f, 6.0f, y);
      case StepKind::kOutput:
        break;
    }
  }

  static void WriteBlocks(const float* blocks, int pixels, int channels, const BlockOutputs& outputs) {
    for (int p = 0; p < pixels; ++p, blocks += kBlockChannels) {
      if (outputs.floats != nullptr) {
        float* y = outputs.floats + p * outputs.stride;
        if (channels == kBlockChannels) {
          for (int i = 0; i < kBlockChannels; ++i) y[i] = blocks[i];
        } else {
          for (int i = 0; i < channels; ++i) y[i] = blocks[i];
        }
      } else if (outputs.int8s != nullptr) {
        std::int8_t* y = outputs.int8s + p * outputs.stride;
        std::int8_t block[kBlockChannels];
        for (int i = 0; i < kBlockChannels; ++i) block[i] = RoundToInt8(blocks[i], outputs.scale, outputs.zero_point);
        if (channels == kBlockChannels) {
          for (int i = 0; i < kBlockChannels; ++i) y[i] = block[i];
        } else {
          for (int i = 0; i < channels; ++i) y[i] = block[i];
        }
      }
    }
  }

  // The common cases, with y in registers: no step, or the float32 shortcut of a residual network.
  template <bool kAdds, typename Acc>
  static void FinishInRegisters(const Acc* acc, int pixels, const FloatTransform& t, const EpilogueStep* step,
                                const BlockOutputs& outputs) {
    for (int p = 0; p < pixels; ++p, acc += kBlockChannels) {
      float y[kBlockChannels];
      TransformBlock(acc, t, y);
      if constexpr (kAdds) {
        const float* operand = static_cast<const float*>(step->operand) + p * step->stride;
        for (int i = 0; i < kBlockChannels; ++i) y[i] += operand[i];
      }
      if (outputs.floats != nullptr) {
        for (int i = 0; i < kBlockChannels; ++i) outputs.floats[p * outputs.stride + i] = y[i];
      }
      if (outputs.words != nullptr) outputs.words[p * outputs.words_stride] = Lanes::NegativeBits(y);
    }
  }

  template <typename Acc>
  static void Finish(const Acc* acc, int pixels, int channels, const FloatTransform& t, const EpilogueStep* steps,
                     int step_count, const BlockOutputs& outputs) {
    if (channels == kBlockChannels && outputs.int8s == nullptr) {
      if (step_count == 0) return FinishInRegisters<false>(acc, pixels, t, steps, outputs);
      if (step_count == 1 && steps->kind == StepKind::kAdd && !steps->is_int8) {
        return FinishInRegisters<true>(acc, pixels, t, steps, outputs);
      }
    }
    alignas(64) float y[kMaxTilePixels * kBlockChannels];
    for (int p = 0; p < pixels; ++p) TransformBlock(acc + p * kBlockChannels, t, y + p * kBlockChannels);
    bool written = false;
    for (int i = 0; i < step_count; ++i) {
      if (steps[i].kind == StepKind::kOutput) {
        WriteBlocks(y, pixels, channels, outputs);
        written = true;
      } else {
        ApplyStep(steps[i], pixels, channels, y);
      }
    }
    if (!written) WriteBlocks(y, pixels, channels, outputs);
    if (outputs.words == nullptr) return;
    for (int p = 0; p < pixels; ++p) {
      outputs.words[p * outputs.words_stride] = Lanes::NegativeBits(y + p * kBlockChannels) & outputs.used_bits;
    }
  }

  static void PackScaled(const float* x, int channels, const float* multiplier, const float* bias, Word* words) {
    for (; channels > 0; channels -= kWordBits, x += kWordBits, multiplier += kWordBits, bias += kWordBits) {
      float block[kWordBits] = {};
      if (channels >= kWordBits) {
        for (int i = 0; i < kWordBits; ++i) block[i] = x[i] * multiplier[i] + bias[i];
      } else {
        for (int i = 0; i < channels; ++i) block[i] = x[i] * multiplier[i] + bias[i];
      }
      *words++ = Lanes::NegativeBits(block);
    }
  }

  static void PackFloat(const float* x, int channels, Word* words) {
    for (; channels >= kWordBits; channels -= kWordBits, x += kWordBits) *words++ = Lanes::NegativeBits(x);
    if (channels > 0) {
      float block[kWordBits] = {};
      for (int i = 0; i < channels; ++i) block[i] = x[i];
      *words = Lanes::NegativeBits(block);
    }
  }

  static void PackInt8(const std::int8_t* x, int channels, std::int32_t zero_point, Word* words) {
    std::int32_t zero[kWordBits];
    for (int i = 0; i < kWordBits; ++i) zero[i] = zero_point;
    for (; channels > 0; channels -= kWordBits, x += kWordBits) {
      std::int32_t block[kWordBits];
      if (channels >= kWordBits) {
        for (int i = 0; i < kWordBits; ++i) block[i] = x[i];
      } else {
        for (int i = 0; i < kWordBits; ++i) block[i] = i < channels ? x[i] : zero_point;
      }
      *words++ = Lanes::LessBits(block, zero);
    }
  }
};

// The counts of a pixel, in memory.
template <typename Lanes>
struct StoredCounts {
  const std::int32_t* counts;

  void Sums(const std::int32_t* starts, std::int32_t* acc) const {
    for (int i = 0; i < kBlockChannels; ++i) acc[i] = starts[i] - 2 * counts[i];
  }

  void Floats(const std::int32_t* starts, const FloatTransform& t, float* y) const {
    std::int32_t sums[kBlockChannels];
    float block[kBlockChannels];
    Sums(starts, sums);
    Transforms<Lanes>::TransformBlock(sums, t, block);
    for (int i = 0; i < kBlockChannels; ++i) y[i] = block[i];
  }

  Word Exceed(const std::int32_t* limits) const { return Lanes::LessBits(limits, counts); }
};

// Splits the words of all taps, in their order, into runs of at most `most` words, so that narrow counters can be
// emptied between runs: calls run(first_tap, taps, first_word, words) with several whole taps, or with a part of one
// tap.
template <typename Run>
void ForEachRun(int taps, int words, int most, const Run& run) {
  if (words <= most) {
    const int whole_taps = most / words;
    for (int tap = 0; tap < taps; tap += whole_taps)
      run(tap, taps - tap < whole_taps ? taps - tap : whole_taps, 0, words);
    return;
  }
  for (int tap = 0; tap < taps; ++tap) {
    for (int word = 0; word < words; word += most) run(tap, 1, word, words - word < most ? words - word : most);
  }
}

// Calls Tile<P>::Run(arguments...) for P = pixels.
template <template <int> class Tile, int P, typename... Arguments>
void DispatchTile(int pixels, Arguments... arguments) {
  if constexpr (P == 1) {
    Tile<1>::Run(arguments...);
  } else if (pixels == P) {
    Tile<P>::Run(arguments...);
  } else {
    DispatchTile<Tile, P - 1>(pixels, arguments...);
  }
}

// The functions for binary x, from CountTile<P>.
template <template <int> class CountTile>
struct BinaryOf {
  static void AccumulateBits(const BinaryTile& tile, std::int32_t* acc) {
    Count(tile, [&](int p, const auto& counts) { counts.Sums(ValuesOf(tile, p), acc + p * kBlockChannels); });
  }

  static void FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& transform, float* y,
                             std::int64_t stride) {
    if (channels == kBlockChannels) {
      return Count(tile,
                   [&](int p, const auto& counts) { counts.Floats(ValuesOf(tile, p), transform, y + p * stride); });
    }
    alignas(64) float blocks[kMaxTilePixels * kBlockChannels];
    FloatsFromBits(tile, kBlockChannels, transform, blocks, kBlockChannels);
    for (int p = 0; p < tile.pixels; ++p) {
      for (int i = 0; i < channels; ++i) y[p * stride + i] = blocks[p * kBlockChannels + i];
    }
  }

  static void CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride) {
    Count(tile, [&](int p, const auto& counts) { words[p * stride] = counts.Exceed(ValuesOf(tile, p)); });
  }

 private:
  static const std::int32_t* ValuesOf(const BinaryTile& tile, int pixel) {
    return tile.values + tile.value_rows[pixel];
  }

  template <typename Finish>
  static void Count(const BinaryTile& tile, const Finish& finish) {
    CountPixels<kMaxTilePixels>(tile, finish);
  }

  template <int P, typename Finish>
  static void CountPixels(const BinaryTile& tile, const Finish& finish) {
    if constexpr (P == 1) {
      CountTile<1>::Run(tile, finish);
    } else if (tile.pixels == P) {
      CountTile<P>::Run(tile, finish);
    } else {
      CountPixels<P - 1>(tile, finish);
    }
  }
};

inline void KeepOrder(Word*) {}

template <typename Lanes, template <int> class CountTile, typename Real>
struct KernelSetOf {
  static constexpr KernelSet Named(const char* name, int steps_per_microsecond) {
    using T = Transforms<Lanes>;
    using Binary = BinaryOf<CountTile>;
    return {name,
            kMaxTilePixels,
            steps_per_microsecond,
            KeepOrder,
            Binary::AccumulateBits,
            Binary::FloatsFromBits,
            Binary::CompareBits,
            AccumulateDepthwiseBits,
            CompareDepthwiseBits,
            Real::kFloats,
            Real::kBytes,
            T::template Floats<std::int32_t>,
            T::template Floats<float>,
            T::BitsFromInt,
            T::BitsFromFloat,
            T::template Finish<std::int32_t>,
            T::template Finish<float>,
            T::PackFloat,
            T::PackInt8,
            T::PackScaled};
  }
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_LANES_H_
