// Conv2D and RealConv2D of every kernel set against a direct convolution of +1 and -1.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/any_conv2d.h"
#include "support/allocation_counter.h"
#include "support/kernel_set_test.h"
#include "support/random_layer.h"

namespace keras_bnn {
namespace {

constexpr ConvInput kInputs[] = {ConvInput::kBits, ConvInput::kFloat32, ConvInput::kInt8, ConvInput::kUInt8};
constexpr ConvOutput kOutputs[] = {ConvOutput::kFloat32, ConvOutput::kBits};

class Conv2DTest : public KernelSetTest {
 protected:
  void ExpectPlainOutput(const ConvShape& shape, int batch, int height, int width, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const RandomLayer layer(shape, &random);
    const Image image = layer.MakeImage(batch, height, width, &random);
    for (const ConvOutput output : kOutputs) {
      AnyConv2D conv(kernels(), layer.Describe(output));
      conv.Resize(batch, shape.Vertical(height), shape.Horizontal(width), 1, {});
      layer.ExpectPlainOutput(&conv, output, image, &pool_, edge);
    }
  }

  // Runs `shape` for each kind of x, as far as the kind takes the shape's padding.
  void ExpectPlainOutputOfAllInputs(ConvShape shape, int batch, int height, int width, std::uint32_t seed) {
    const int pad_value = shape.pad_value;
    for (const ConvInput input : kInputs) {
      shape.input = input;
      const bool eight_bits = input == ConvInput::kInt8 || input == ConvInput::kUInt8;
      shape.pad_value = eight_bits ? 0 : pad_value;
      for (const Edge edge : kEdges) ExpectPlainOutput(shape, batch, height, width, edge, seed);
    }
  }

  ThreadPool pool_;
};

ConvShape Shape(int channels_in, int channels_out, int kernel_h, int kernel_w, Padding padding) {
  ConvShape shape;
  shape.channels_in = channels_in;
  shape.channels_out = channels_out;
  shape.kernel_h = kernel_h;
  shape.kernel_w = kernel_w;
  shape.padding = padding;
  return shape;
}

TEST_P(Conv2DTest, OnePixel) {
  for (const int channels_out : {1, 31, 32, 33, 70}) {
    ExpectPlainOutputOfAllInputs(Shape(40, channels_out, 1, 1, Padding::kValid), 1, 1, 1, 1);
  }
}

TEST_P(Conv2DTest, ADenseLayerIsABatchOfPixels) {
  for (const int rows : {1, 2, 7, 9, 65, 130}) {  // also more than a panel
    ExpectPlainOutputOfAllInputs(Shape(67, 36, 1, 1, Padding::kValid), rows, 1, 1, 2);
  }
}

TEST_P(Conv2DTest, SameAndValid) {
  for (const Padding padding : {Padding::kSame, Padding::kValid}) {
    ExpectPlainOutputOfAllInputs(Shape(33, 34, 3, 2, padding), 2, 6, 5, 3);
    ExpectPlainOutputOfAllInputs(Shape(3, 5, 5, 5, padding), 1, 5, 7, 4);
  }
}

TEST_P(Conv2DTest, EveryPadValue) {
  for (const int pad_value : {-1, 0, 1}) {
    ConvShape shape = Shape(35, 33, 3, 3, Padding::kSame);
    shape.pad_value = pad_value;
    ExpectPlainOutputOfAllInputs(shape, 1, 5, 4, 5);
  }
}

TEST_P(Conv2DTest, Strides) {
  ConvShape shape = Shape(10, 33, 3, 2, Padding::kSame);
  for (const int stride : {2, 3, 5}) {  // also larger than the window
    shape.stride_h = stride;
    shape.stride_w = stride + 1;
    ExpectPlainOutputOfAllInputs(shape, 2, 9, 13, 6);
  }
}

TEST_P(Conv2DTest, StridesLargerThanTheImage) {
  ConvShape shape = Shape(10, 33, 2, 2, Padding::kValid);
  shape.stride_h = shape.stride_w = 100;
  ExpectPlainOutputOfAllInputs(shape, 2, 5, 4, 7);
}

TEST_P(Conv2DTest, Dilations) {
  ConvShape shape = Shape(20, 9, 3, 3, Padding::kSame);
  shape.dilation_h = 2;
  shape.dilation_w = 3;
  ExpectPlainOutputOfAllInputs(shape, 1, 8, 9, 8);
  shape.padding = Padding::kValid;
  ExpectPlainOutputOfAllInputs(shape, 1, 8, 9, 9);
}

TEST_P(Conv2DTest, ExplicitPads) {
  ConvShape shape = Shape(34, 33, 3, 3, Padding::kExplicit);
  shape.pad_top = 1;
  shape.pad_bottom = 2;
  for (const int pad_right : {2, 4}) {  // 4: windows that lie wholly outside the image
    shape.pad_right = pad_right;
    for (const int pad_value : {-1, 0, 1}) {
      shape.pad_value = pad_value;
      ExpectPlainOutputOfAllInputs(shape, 2, 4, 3, 10);
    }
  }
}

TEST_P(Conv2DTest, WindowLargerThanTheImage) {
  ConvShape shape = Shape(7, 33, 5, 7, Padding::kSame);
  ExpectPlainOutputOfAllInputs(shape, 1, 2, 3, 11);
}

TEST_P(Conv2DTest, GroupsOfWholeWords) {
  ConvShape shape = Shape(96, 192, 3, 3, Padding::kSame);
  shape.groups = 3;
  ExpectPlainOutputOfAllInputs(shape, 1, 4, 3, 12);
}

TEST_P(Conv2DTest, GroupsThatSplitWordsOfX) {
  ConvShape shape = Shape(3 * 37, 3 * 32, 2, 3, Padding::kSame);
  shape.groups = 3;
  ExpectPlainOutputOfAllInputs(shape, 2, 4, 3, 13);
}

TEST_P(Conv2DTest, GroupsThatSplitWordsOfTheOutput) {
  ConvShape shape = Shape(3 * 32, 3 * 45, 2, 3, Padding::kSame);
  shape.groups = 3;
  ExpectPlainOutputOfAllInputs(shape, 2, 4, 3, 14);
}

TEST_P(Conv2DTest, ManySmallGroups) {
  ConvShape shape = Shape(50, 100, 3, 3, Padding::kSame);  // 2 outputs per channel
  shape.groups = 50;
  ExpectPlainOutputOfAllInputs(shape, 1, 4, 3, 15);
  shape.groups = 10;
  shape.pad_value = -1;
  ExpectPlainOutputOfAllInputs(shape, 1, 4, 3, 16);
}

TEST_P(Conv2DTest, PanelsOfOneTile) {
  ConvShape shape = Shape(2, 5, 33, 40, Padding::kSame);  // more taps than a panel's table is meant for
  for (const ConvInput input : {ConvInput::kBits, ConvInput::kFloat32}) {
    shape.input = input;
    ExpectPlainOutput(shape, 1, 4, 5, Edge::kAfter, 17);
  }
}

// Kernels that are not expanded once, but by chunks or not at all.
TEST_P(Conv2DTest, LargeKernels) {
  for (const ConvInput input : {ConvInput::kFloat32, ConvInput::kInt8, ConvInput::kUInt8}) {
    ConvShape dense = Shape(1001, 300, 1, 1, Padding::kValid);
    dense.input = input;
    for (const int rows : {1, 2, 9}) ExpectPlainOutput(dense, rows, 1, 1, Edge::kAfter, 23);
    ConvShape grouped = Shape(2 * 131, 2 * 170, 3, 3, Padding::kSame);
    grouped.groups = 2;
    grouped.input = input;
    ExpectPlainOutput(grouped, 1, 3, 4, Edge::kAfter, 24);
    ExpectPlainOutput(grouped, 1, 3, 1, Edge::kAfter, 25);
  }
}

TEST_P(Conv2DTest, PanelsAcrossImages) { ExpectPlainOutputOfAllInputs(Shape(5, 3, 3, 3, Padding::kSame), 9, 5, 5, 18); }

TEST_P(Conv2DTest, RandomShapes) {
  Random random(19);
  for (std::uint32_t i = 0; i < 60; ++i) {
    ConvShape shape;
    shape.input = kInputs[random.Int(0, 3)];
    shape.groups = random.OneIn(3) ? random.Int(2, 5) : 1;
    shape.channels_in = shape.groups * random.Int(1, random.OneIn(2) ? 70 : 6);
    shape.channels_out = shape.groups * random.Int(1, random.OneIn(2) ? 70 : 6);
    shape.kernel_h = random.Int(1, 4);
    shape.kernel_w = random.Int(1, 4);
    shape.stride_h = random.Int(1, 3);
    shape.stride_w = random.Int(1, 3);
    shape.dilation_h = random.Int(1, 2);
    shape.dilation_w = random.Int(1, 2);
    shape.padding = static_cast<Padding>(random.Int(0, 2));
    if (shape.padding == Padding::kExplicit) {
      shape.pad_top = random.Int(0, 3);
      shape.pad_bottom = random.Int(0, 3);
      shape.pad_left = random.Int(0, 3);
      shape.pad_right = random.Int(0, 3);
    }
    const bool eight_bits = shape.input == ConvInput::kInt8 || shape.input == ConvInput::kUInt8;
    shape.pad_value = eight_bits ? 0 : random.Int(-1, 1);
    const int height = random.Int(7, 10);  // the largest dilated window has 7 pixels
    const int width = random.Int(7, 10);
    ExpectPlainOutput(shape, random.Int(1, 2), height, width, kEdges[random.Int(0, 1)], 1000 + i);
  }
}

TEST_P(Conv2DTest, ResizesBetweenRuns) {
  const struct {
    int batch, height, width;
  } kSizes[] = {{1, 6, 5}, {3, 9, 4}, {1, 3, 3}, {2, 12, 7}, {1, 6, 5}};
  ConvShape shape = Shape(2 * 20, 2 * 17, 3, 3, Padding::kSame);
  shape.groups = 2;
  for (const ConvInput input : kInputs) {
    shape.input = input;
    Random random(20);
    const RandomLayer layer(shape, &random);
    for (const ConvOutput output : kOutputs) {
      AnyConv2D conv(kernels(), layer.Describe(output));
      for (const auto& [batch, height, width] : kSizes) {
        const Image image = layer.MakeImage(batch, height, width, &random);
        conv.Resize(batch, shape.Vertical(height), shape.Horizontal(width), 1, {});
        layer.ExpectPlainOutput(&conv, output, image, &pool_, Edge::kAfter);
      }
    }
  }
}

TEST_P(Conv2DTest, AnEmptyBatchGivesNothing) {
  const ConvShape shape = Shape(40, 33, 3, 3, Padding::kSame);
  Random random(21);
  const RandomLayer layer(shape, &random);
  AnyConv2D conv(kernels(), layer.Describe(ConvOutput::kBits));
  conv.Resize(0, shape.Vertical(5), shape.Horizontal(5), 4, {});
  void* const outputs[] = {nullptr};
  conv.Run(nullptr, {nullptr, outputs}, pool_);
}

TEST_P(Conv2DTest, RunAllocatesNothing) {
  ConvShape shape = Shape(2 * 20, 2 * 17, 3, 3, Padding::kSame);
  shape.groups = 2;
  pool_.Grow(2);
  for (const ConvInput input : kInputs) {
    for (const ConvOutput output : kOutputs) {
      shape.input = input;
      Random random(22);
      const RandomLayer layer(shape, &random);
      AnyConv2D conv(kernels(), layer.Describe(output));
      conv.Resize(1, shape.Vertical(40), shape.Horizontal(40), 2, {});
      const std::vector<float> x(40 * 40 * 40);
      std::vector<float> y(40 * 40 * 34);
      void* const outputs[] = {y.data()};
      const std::size_t before = AllocationCount();
      for (int run = 0; run < 3; ++run) conv.Run(x.data(), {nullptr, outputs}, pool_);
      EXPECT_EQ(AllocationCount(), before);
    }
  }
}

FOR_EACH_KERNEL_SET(Conv2DTest);

}  // namespace
}  // namespace keras_bnn
