// Conv2D and RealConv2D on several threads: the same bits as on one, for work that is large enough to be split.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/any_conv2d.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/random_layer.h"

namespace keras_bnn {
namespace {

struct Layer {
  ConvInput input = ConvInput::kBits;
  ConvOutput output = ConvOutput::kBits;
  KernelShape kernel;
  int taps_side = 1;
  int side = 1;  // of the image, pixels
};

class Conv2DThreadsTest : public KernelSetTest {
 protected:
  // Enough images to keep more than four threads busy.
  int BatchFor(const Layer& layer) const {
    const int tap = layer.input == ConvInput::kBits ? layer.kernel.words : layer.kernel.channels;
    const std::int64_t steps_per_image =
        std::int64_t{layer.side} * layer.side * layer.kernel.blocks() * layer.kernel.taps * tap;
    return static_cast<int>(std::int64_t{9} * kernels().steps_per_thread / 2 / steps_per_image) + 1;
  }

  void ExpectSameBitsOnAllThreads(const Layer& layer) {
    Random random(1);
    const KernelShape& kernel = layer.kernel;
    const int channels_out = kernel.channels_out;
    std::vector<Word> weights(channels_out * kernel.taps * kernel.words);
    for (Word& word : weights) word = random.Bits() & LowBitsOf(kernel.channels);
    const std::vector<float> multiplier = random.Floats(channels_out);
    const std::vector<float> bias = random.Floats(channels_out);
    const std::vector<std::int32_t> thresholds = random.Ints(channels_out, -9, 9);
    ConvLayer description = {};
    description.input = layer.input;
    description.kernel = kernel;
    description.weights = weights.data();
    EpilogueLayer& epilogue = description.epilogue;
    epilogue.y = layer.output == ConvOutput::kFloat32 ? OutputType::kFloat32 : OutputType::kNone;
    epilogue.bits = layer.output == ConvOutput::kBits;
    epilogue.pre_activation = epilogue.activation = kNoActivation;
    if (layer.output == ConvOutput::kBits && layer.input != ConvInput::kFloat32) {
      epilogue.thresholds = thresholds.data();
    } else {
      epilogue.multiplier = multiplier.data();
      epilogue.bias = bias.data();
    }

    const int batch = BatchFor(layer);
    const int pixels = batch * layer.side * layer.side;
    const int per_pixel =
        layer.input == ConvInput::kBits ? WordsFor(kernel.groups * kernel.channels) : kernel.groups * kernel.channels;
    std::vector<Word> bits(pixels * per_pixel);
    for (Word& word : bits) word = random.Bits() & LowBitsOf(kernel.groups * kernel.channels);
    const std::vector<float> reals = random.Floats(bits.size());
    const void* x = layer.input == ConvInput::kBits ? static_cast<const void*>(bits.data()) : reals.data();
    const Window window = Window::Place("side", layer.side, layer.taps_side, 1, 1, Padding::kSame, 0, 0);
    const int outputs = layer.output == ConvOutput::kBits ? WordsFor(kernel.channels_out) : channels_out;

    AnyConv2D conv(kernels(), description);
    std::vector<Word> alone(pixels * outputs, 0xa5a5a5a5);
    ThreadPool pool;
    conv.Resize(batch, window, window, 1, {});
    void* const alone_outputs[] = {alone.data()};
    conv.Run(x, {nullptr, alone_outputs}, pool);
    for (const int threads : {2, 3, 4}) {
      pool.Grow(threads);
      conv.Resize(batch, window, window, threads, {});
      for (int run = 0; run < 2; ++run) {
        std::vector<Word> together(alone.size(), 0x5a5a5a5a);
        void* const together_outputs[] = {together.data()};
        conv.Run(x, {nullptr, together_outputs}, pool);
        ASSERT_EQ(together, alone) << threads << " threads";
      }
    }
  }

 private:
  // Widths here are below 32 or whole words: then one mask serves all words of a row.
  static Word LowBitsOf(int channels) { return channels % 32 == 0 ? ~Word{0} : (Word{1} << channels % 32) - 1; }
};

Layer MakeLayer(ConvInput input, ConvOutput output, int groups, int channels_out, int taps_side, int channels,
                int side) {
  Layer layer;
  layer.input = input;
  layer.output = output;
  layer.kernel = {groups, channels_out, taps_side * taps_side, WordsFor(channels), channels};
  layer.taps_side = taps_side;
  layer.side = side;
  return layer;
}

TEST_P(Conv2DThreadsTest, BitsToBits) {
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kBits, ConvOutput::kBits, 1, 96, 3, 64, 8));
}

TEST_P(Conv2DThreadsTest, BitsToFloats) {
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kBits, ConvOutput::kFloat32, 1, 70, 3, 64, 8));
}

// Few pixels and many channels: threads share a panel and take its blocks.
TEST_P(Conv2DThreadsTest, DenseLayer) {
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kBits, ConvOutput::kBits, 1, 1024, 1, 4096, 1));
}

// Groups that end inside a word: a task writes whole pixels.
TEST_P(Conv2DThreadsTest, UnalignedGroups) {
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kBits, ConvOutput::kBits, 2, 2 * 37, 3, 16, 8));
}

TEST_P(Conv2DThreadsTest, RealInput) {
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kFloat32, ConvOutput::kFloat32, 1, 40, 3, 3, 16));
  ExpectSameBitsOnAllThreads(MakeLayer(ConvInput::kFloat32, ConvOutput::kBits, 1, 40, 3, 3, 16));
}

FOR_EACH_KERNEL_SET(Conv2DThreadsTest);

}  // namespace
}  // namespace keras_bnn
