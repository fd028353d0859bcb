#include "kernels/packed_kernel.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

struct Layer {
  KernelShape shape;
  std::vector<int> signs;  // [O][tap][channel]
  std::vector<Word> weights;

  int Sign(int o, int tap, int channel) const { return signs[(o * shape.taps + tap) * shape.channels + channel]; }
};

Layer MakeLayer(int groups, int channels_out, int taps, int channels, Random* random) {
  Layer layer;
  layer.shape = {groups, channels_out, taps, WordsFor(channels), channels};
  layer.signs = random->Signs(channels_out * taps * channels);
  layer.weights = PackSigns(layer.signs, channels);
  return layer;
}

// The output channel at a lane of a block, or -1 past the end of a group.
int ChannelAt(const KernelShape& shape, int block, int lane) {
  const int per_group = shape.channels_out / shape.groups;
  const int blocks_per_group = (per_group + 31) / 32;
  const int in_group = block % blocks_per_group * 32 + lane;
  return in_group < per_group ? block / blocks_per_group * per_group + in_group : -1;
}

template <typename Check>
void ForEachShape(const Check& check) {
  Random random(1);
  for (const int groups : {1, 2, 3}) {
    for (const int per_group : {1, 5, 31, 32, 33, 65}) {
      for (const int taps : {1, 4}) {
        for (const int channels : {1, 32, 33, 70}) {
          SCOPED_TRACE(std::to_string(groups) + " groups of " + std::to_string(per_group) + ", " +
                       std::to_string(taps) + " taps, " + std::to_string(channels) + " channels");
          check(MakeLayer(groups, groups * per_group, taps, channels, &random));
        }
      }
    }
  }
}

TEST(PackedKernelTest, ForBits) {
  ForEachShape([](const Layer& layer) {
    const KernelShape& shape = layer.shape;
    const std::vector<Word> packed = PackForBits(kScalarKernels, layer.weights.data(), shape);
    ASSERT_EQ(packed.size(), std::size_t{32} * shape.blocks() * shape.taps * shape.words);
    std::size_t at = 0;
    for (int block = 0; block < shape.blocks(); ++block) {
      for (int tap = 0; tap < shape.taps; ++tap) {
        for (int word = 0; word < shape.words; ++word) {
          for (int lane = 0; lane < 32; ++lane, ++at) {
            const int o = ChannelAt(shape, block, lane);
            for (int bit = 0; bit < 32; ++bit) {
              const int channel = word * 32 + bit;
              const bool negative = o >= 0 && channel < shape.channels && layer.Sign(o, tap, channel) < 0;
              ASSERT_EQ((packed[at] >> bit) & 1u, negative ? 1u : 0u) << "block " << block << " lane " << lane;
            }
          }
        }
      }
    }
  });
}

TEST(PackedKernelTest, ForReal) {
  ForEachShape([](const Layer& layer) {
    const KernelShape& shape = layer.shape;
    const std::vector<Word> packed = PackForReal(layer.weights.data(), shape);
    ASSERT_EQ(packed.size(), std::size_t{1} * shape.blocks() * shape.taps * shape.channels);
    std::size_t at = 0;
    for (int block = 0; block < shape.blocks(); ++block) {
      for (int tap = 0; tap < shape.taps; ++tap) {
        for (int channel = 0; channel < shape.channels; ++channel, ++at) {
          for (int lane = 0; lane < 32; ++lane) {
            const int o = ChannelAt(shape, block, lane);
            const bool negative = o >= 0 && layer.Sign(o, tap, channel) < 0;
            ASSERT_EQ((packed[at] >> lane) & 1u, negative ? 1u : 0u) << "block " << block << " lane " << lane;
          }
        }
      }
    }
  });
}

TEST(PackedKernelTest, TapSums) {
  ForEachShape([](const Layer& layer) {
    const KernelShape& shape = layer.shape;
    const std::vector<std::int32_t> sums = TapSums(layer.weights.data(), shape);
    ASSERT_EQ(sums.size(), std::size_t{32} * shape.blocks() * shape.taps);
    std::size_t at = 0;
    for (int block = 0; block < shape.blocks(); ++block) {
      for (int tap = 0; tap < shape.taps; ++tap) {
        for (int lane = 0; lane < 32; ++lane, ++at) {
          const int o = ChannelAt(shape, block, lane);
          if (o < 0) continue;  // lanes that no output reads
          int expected = 0;
          for (int channel = 0; channel < shape.channels; ++channel) expected += layer.Sign(o, tap, channel);
          ASSERT_EQ(sums[at], expected) << "block " << block << " tap " << tap << " lane " << lane;
        }
      }
    }
  });
}

TEST(PackedKernelTest, Channels) {
  ForEachShape([](const Layer& layer) {
    const KernelShape& shape = layer.shape;
    std::vector<int> values;
    for (int o = 0; o < shape.channels_out; ++o) values.push_back(1000 + o);
    const std::vector<int> packed = PackChannels(values.data(), shape, -7);
    ASSERT_EQ(packed.size(), std::size_t{32} * shape.blocks());
    for (std::size_t i = 0; i < packed.size(); ++i) {
      const int o = ChannelAt(shape, static_cast<int>(i / 32), static_cast<int>(i % 32));
      ASSERT_EQ(packed[i], o < 0 ? -7 : 1000 + o);
    }
  });
}

}  // namespace
}  // namespace keras_bnn
