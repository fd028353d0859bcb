#include "differential/random_case.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

namespace keras_bnn {
namespace {

// Products of a case: most are small, so that a million take minutes.
constexpr std::int64_t kProducts = 60000;
constexpr std::int64_t kManyProducts = 2000000;
constexpr int kOneInMany = 60;

// Values

enum class Floats { kRandom, kSpecial, kQuarters };  // the last give halves where int8 is rounded

Floats RandomKind(Random* random) {
  return random->OneIn(8) ? Floats::kSpecial : random->OneIn(3) ? Floats::kQuarters : Floats::kRandom;
}

float RandomFloat(Floats kind, Random* random) {
  constexpr float kValues[] = {std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN(),
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::min(),
                               std::numeric_limits<float>::denorm_min(),
                               1.0f,
                               0.5f};
  if (kind == Floats::kQuarters) return static_cast<float>(random->Int(-20, 20)) / 4;
  if (kind == Floats::kRandom || !random->OneIn(4)) return random->Float();
  return static_cast<float>(random->Sign()) * kValues[random->Int(0, static_cast<int>(std::size(kValues)) - 1)];
}

std::vector<float> RandomFloats(std::int64_t count, Random* random) {
  const Floats kind = RandomKind(random);
  std::vector<float> values(count);
  for (float& value : values) value = RandomFloat(kind, random);
  return values;
}

template <typename T>
std::vector<T> RandomBytes(std::int64_t count, Random* random) {
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(random->Bits());
  return values;
}

// [rows][words] with `channels` bits used in each row.
std::vector<std::uint32_t> RandomWords(std::int64_t rows, int channels, Random* random) {
  const int words = (channels + 31) / 32;
  std::vector<std::uint32_t> values(rows * words);
  const int kind = random->Int(0, channels > 1000 ? 3 : 15);  // some are all +1 or all -1, for the largest counts
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = kind == 0 ? 0 : kind == 1 ? ~std::uint32_t{0} : random->Bits();
    const int used = channels - static_cast<int>(i % words) * 32;
    if (used < 32) values[i] &= (std::uint32_t{1} << used) - 1;
  }
  return values;
}

Tensor MakeTensor(ElementType type, Dims dims, Random* random) {
  Tensor tensor;
  tensor.type = type;
  tensor.dims = std::move(dims);
  if (type == ElementType::kInt8 || type == ElementType::kUInt8) {
    tensor.scale = std::abs(random->Float());
    if (tensor.scale == 0.0f || random->OneIn(2)) tensor.scale = std::ldexp(1.0f, random->Int(-3, 3));
    tensor.zero_point = random->OneIn(3)             ? (type == ElementType::kInt8 ? 0 : 128)
                        : type == ElementType::kInt8 ? random->Int(-128, 127)
                                                     : random->Int(0, 255);
  }
  return tensor;
}

// x with data, of `channels` values or bits in the last dimension.
Tensor RandomX(ElementType type, Dims dims, Random* random) {
  const int channels = dims.back();
  if (type == ElementType::kInt32) dims.back() = (channels + 31) / 32;
  Tensor x = MakeTensor(type, std::move(dims), random);
  const std::int64_t size = x.elements();
  switch (type) {
    case ElementType::kInt32:
      x.Set(RandomWords(size / x.last_dim(), channels, random));
      break;
    case ElementType::kFloat32:
      x.Set(RandomFloats(size, random));
      break;
    case ElementType::kInt8:
      x.Set(RandomBytes<std::int8_t>(size, random));
      break;
    default:
      x.Set(RandomBytes<std::uint8_t>(size, random));
  }
  return x;
}

template <typename T>
Tensor Constant(ElementType type, Dims dims, const std::vector<T>& values) {
  Tensor tensor;
  tensor.type = type;
  tensor.dims = std::move(dims);
  tensor.constant = true;
  tensor.Set(values);
  return tensor;
}

Tensor FloatConstant(Dims dims, Random* random) {
  Tensor tensor;
  tensor.dims = dims;
  return Constant(ElementType::kFloat32, std::move(dims), RandomFloats(tensor.elements(), random));
}

int RandomChannels(Random* random) {
  switch (random->Int(0, 3)) {
    case 0:
      return random->Int(1, 12);
    case 1:
      return random->Int(1, 140);
    case 2:
      return 32 * random->Int(1, 9) + random->Int(-1, 1);
    default:
      return 32 * random->Int(1, 4);
  }
}

// Options

void SetOption(const char* key, int value, int if_absent, Random* random, Case* run) {
  if (value != if_absent || random->OneIn(2)) run->options[key] = value;
}

// What comes after the sums: the third input and those behind it, the outputs and the options. y's shape is not known
// yet: operands of its shape get theirs from PlaceOperands.
void AddEpilogue(int filters, std::int64_t largest_sum, bool images, Random* random, Case* run) {
  const bool exact = run->inputs[0].type != ElementType::kFloat32;
  if (exact && random->OneIn(4)) {
    const int typical = 2 + static_cast<int>(std::sqrt(static_cast<double>(largest_sum)));
    std::vector<std::int32_t> thresholds(filters);
    for (std::int32_t& threshold : thresholds) {
      threshold = random->Int(-typical, typical);
      if (random->OneIn(8))
        threshold = random->Int(-static_cast<int>(largest_sum) - 2, static_cast<int>(largest_sum) + 2);
      if (random->OneIn(16)) threshold = std::numeric_limits<std::int32_t>::min();
      if (random->OneIn(16)) threshold = std::numeric_limits<std::int32_t>::max();
    }
    run->inputs.push_back(Constant(ElementType::kInt32, {filters}, thresholds));
    run->outputs = {MakeTensor(ElementType::kInt32, {}, random)};
    return;
  }
  run->inputs.push_back(FloatConstant({filters}, random));
  run->inputs.push_back(FloatConstant({filters}, random));
  SetOption("activation", random->OneIn(2) ? 0 : random->Int(0, 3), 0, random, run);
  SetOption("pre_activation", random->OneIn(2) ? 0 : random->Int(0, 3), 0, random, run);
  switch (random->Int(0, 4)) {
    case 0:
      run->outputs = {MakeTensor(ElementType::kInt32, {}, random)};
      break;
    case 1:
      run->outputs = {MakeTensor(ElementType::kInt8, {}, random)};
      break;
    case 2:
      run->outputs = {MakeTensor(ElementType::kFloat32, {}, random)};
      break;
    default:
      run->outputs = {MakeTensor(random->OneIn(2) ? ElementType::kFloat32 : ElementType::kInt8, {}, random),
                      MakeTensor(ElementType::kInt32, {}, random)};
  }
  if (random->OneIn(2)) return;
  std::int64_t digits = 0;
  bool splits = run->outputs.size() < 2;
  const int steps = random->OneIn(20) ? 15 : random->Int(1, 4);
  for (int i = 0; i < steps; ++i) {
    int digit = random->OneIn(4) ? 1 : random->Int(1, 8);
    if (digit == 8 && splits) digit = 1;
    splits = splits || digit == 8;
    digits |= static_cast<std::int64_t>(digit) << (4 * i);
    if (digit > 4) continue;
    const int kind = digit == 4 ? 0 : random->Int(0, images ? 4 : 3);
    if (kind == 0) {
      run->inputs.push_back(FloatConstant({filters}, random));
    } else {
      Tensor operand = MakeTensor(kind == 1 ? ElementType::kInt8 : ElementType::kFloat32, {}, random);
      if (kind == 4) operand.dims = {0, 1, 1, filters};  // of each image
      run->inputs.push_back(operand);
    }
  }
  run->options["steps"] = digits;
}

// Gives the operands that are tensors the shape and data for this y.
void PlaceOperands(const Dims& y, Random* random, Case* run) {
  for (std::size_t i = 4; i < run->inputs.size(); ++i) {
    Tensor& operand = run->inputs[i];
    if (operand.constant) continue;
    const bool per_image =
        operand.dims.size() == 4 && operand.dims[1] == 1 && operand.dims[2] == 1 && operand.dims[0] == 0;
    operand.dims = per_image ? Dims{y.front(), 1, 1, y.back()} : y;
    if (operand.type == ElementType::kInt8) {
      operand.Set(RandomBytes<std::int8_t>(operand.elements(), random));
    } else {
      operand.Set(RandomFloats(operand.elements(), random));
    }
  }
}

struct Window {
  int size, stride, dilation;
};

Window RandomWindow(Random* random) {
  constexpr int kSizes[] = {1, 1, 2, 3, 3, 3, 3, 4, 5, 7};
  Window window = {kSizes[random->Int(0, 9)], 1, 1};
  if (random->OneIn(2)) window.stride = random->Int(1, 4);
  if (random->OneIn(3)) window.dilation = random->Int(1, 3);
  return window;
}

ElementType RandomInput(Random* random) {
  constexpr ElementType kTypes[] = {ElementType::kInt32,   ElementType::kInt32, ElementType::kInt32,
                                    ElementType::kFloat32, ElementType::kInt8,  ElementType::kUInt8};
  return kTypes[random->Int(0, 5)];
}

int OutputPixels(int input, const Window& window, int padding, int before, int after) {
  if (padding == 0) return (input + window.stride - 1) / window.stride;
  const int room = before + input + after - (window.size - 1) * window.dilation - 1;
  return room < 0 ? 0 : room / window.stride + 1;
}

// An image, a window and where it lies; y is [N, OH, OW] of it.
struct Layout {
  int batch, height, width;
  Window down, across;
  int padding, top, bottom, left, right;

  int rows() const { return OutputPixels(height, down, padding, top, bottom); }
  int columns() const { return OutputPixels(width, across, padding, left, right); }
};

Layout RandomLayout(bool large, Random* random) {
  Layout layout = {};
  do {
    layout.batch = random->OneIn(2) ? 1 : random->Int(1, 3);
    layout.height = random->Int(1, large ? 24 : 9);
    layout.width = random->OneIn(8) ? random->Int(1, 80) : random->Int(1, large ? 24 : 12);
    layout.down = RandomWindow(random);
    layout.across = random->OneIn(2) ? layout.down : RandomWindow(random);
    layout.padding = random->Int(0, 2);
    layout.top = layout.bottom = layout.left = layout.right = 0;
    if (layout.padding == 2) {
      for (int* pad : {&layout.top, &layout.bottom, &layout.left, &layout.right})
        *pad = random->Int(0, random->OneIn(8) ? 9 : 3);
    }
  } while (layout.rows() < 1 || layout.columns() < 1);
  return layout;
}

void SetLayoutOptions(const Layout& layout, Random* random, Case* run) {
  SetOption("stride_h", layout.down.stride, 1, random, run);
  SetOption("stride_w", layout.across.stride, 1, random, run);
  SetOption("dilation_h", layout.down.dilation, 1, random, run);
  SetOption("dilation_w", layout.across.dilation, 1, random, run);
  run->options["padding"] = layout.padding;
  SetOption("pad_top", layout.top, 0, random, run);
  SetOption("pad_bottom", layout.bottom, 0, random, run);
  SetOption("pad_left", layout.left, 0, random, run);
  SetOption("pad_right", layout.right, 0, random, run);
  const ElementType x = run->inputs[0].type;
  const bool eight_bits = x == ElementType::kInt8 || x == ElementType::kUInt8;
  SetOption("pad_value", eight_bits || random->OneIn(2) ? 0 : random->Sign(), 0, random, run);
}

int LargestStep(const Tensor& x) { return x.type == ElementType::kInt32 ? 1 : 255; }

Case RandomConv2D(bool large, Random* random) {
  const std::int64_t most = large ? kManyProducts : kProducts;
  Case run;
  Layout layout;
  int groups, channels, filters;
  std::int64_t reduced;
  do {
    layout = RandomLayout(large, random);
    groups = random->OneIn(4) ? random->Int(2, 5) : 1;
    channels = groups == 1 ? RandomChannels(random) : random->OneIn(2) ? random->Int(1, 40) : 32 * random->Int(1, 2);
    filters = groups == 1 ? RandomChannels(random) : random->OneIn(2) ? random->Int(1, 40) : 32 * random->Int(1, 2);
    reduced = std::int64_t{layout.down.size} * layout.across.size * channels;
  } while (reduced * layout.batch * layout.rows() * layout.columns() * filters * groups > most);
  run.op = "BnnConv2D";
  run.inputs.push_back(
      RandomX(RandomInput(random), {layout.batch, layout.height, layout.width, channels * groups}, random));
  const Dims kernel = {filters * groups, layout.down.size, layout.across.size, (channels + 31) / 32};
  run.inputs.push_back(Constant(ElementType::kInt32, kernel,
                                RandomWords(std::int64_t{kernel[0]} * kernel[1] * kernel[2], channels, random)));
  run.options["channels_in"] = channels * groups;
  SetOption("groups", groups, 1, random, &run);
  SetLayoutOptions(layout, random, &run);
  AddEpilogue(filters * groups, reduced * LargestStep(run.inputs[0]), true, random, &run);
  PlaceOperands({layout.batch, layout.rows(), layout.columns(), filters * groups}, random, &run);
  return run;
}

Case RandomDepthwiseConv2D(bool large, Random* random) {
  const std::int64_t most = large ? kManyProducts : kProducts;
  Case run;
  Layout layout;
  int channels, times;
  std::int64_t taps;
  do {
    layout = RandomLayout(large, random);
    channels = RandomChannels(random);
    times = random->OneIn(2) ? 1 : random->Int(1, 5);
    taps = std::int64_t{layout.down.size} * layout.across.size;
  } while (taps * layout.batch * layout.rows() * layout.columns() * channels * times > most);
  const int filters = channels * times;
  run.op = "BnnDepthwiseConv2D";
  run.inputs.push_back(RandomX(ElementType::kInt32, {layout.batch, layout.height, layout.width, channels}, random));
  run.inputs.push_back(Constant(ElementType::kInt32, {layout.down.size, layout.across.size, (filters + 31) / 32},
                                RandomWords(taps, filters, random)));
  run.options["channels_in"] = channels;
  SetLayoutOptions(layout, random, &run);
  AddEpilogue(filters, taps, true, random, &run);
  PlaceOperands({layout.batch, layout.rows(), layout.columns(), filters}, random, &run);
  return run;
}

Case RandomTransposeConv2D(bool large, Random* random) {
  const std::int64_t most = large ? kManyProducts : kProducts;
  for (;;) {
    Case run;
    const Layout layout = RandomLayout(large, random);
    const int channels = RandomChannels(random), filters = RandomChannels(random);
    const int stride_h = layout.down.stride, stride_w = layout.across.stride;
    const int full_rows = (layout.height - 1) * stride_h + layout.down.size;
    const int full_columns = (layout.width - 1) * stride_w + layout.across.size;
    const int top = random->Int(0, 3), left = random->Int(0, 3);
    const int bottom = random->Int(std::max(1 - stride_h, -3), 3), right = random->Int(std::max(1 - stride_w, -3), 3);
    const int rows = full_rows - top - bottom, columns = full_columns - left - right;
    const std::int64_t reduced = std::int64_t{layout.down.size} * layout.across.size * channels;
    if (rows < 1 || columns < 1 || reduced * layout.batch * layout.height * layout.width * filters > most) continue;
    run.op = "BnnTransposeConv2D";
    run.inputs.push_back(RandomX(ElementType::kInt32, {layout.batch, layout.height, layout.width, channels}, random));
    const Dims kernel = {filters, layout.down.size, layout.across.size, (channels + 31) / 32};
    run.inputs.push_back(Constant(ElementType::kInt32, kernel,
                                  RandomWords(std::int64_t{kernel[0]} * kernel[1] * kernel[2], channels, random)));
    run.options["channels_in"] = channels;
    SetOption("stride_h", stride_h, 1, random, &run);
    SetOption("stride_w", stride_w, 1, random, &run);
    SetOption("pad_top", top, 0, random, &run);
    SetOption("pad_bottom", bottom, 0, random, &run);
    SetOption("pad_left", left, 0, random, &run);
    SetOption("pad_right", right, 0, random, &run);
    AddEpilogue(filters, reduced, true, random, &run);
    PlaceOperands({layout.batch, rows, columns, filters}, random, &run);
    return run;
  }
}

Case RandomFullyConnected(bool large, Random* random) {
  Case run;
  run.op = "BnnFullyConnected";
  const ElementType type = RandomInput(random);
  // A row is a flattened image: one pixel, or some whose words have unused bits.
  int pixels = random->OneIn(3) ? random->Int(2, 6) : 1;
  int channels = RandomChannels(random);
  int rows = random->Int(1, large ? 40 : 12);
  int filters = RandomChannels(random);
  if (large && random->OneIn(2)) {  // more words than counters of 16 bits hold
    pixels = 1;
    channels = 32 * random->Int(1000, 2600) + random->Int(-1, 1);
    rows = random->Int(1, 3);
    filters = random->Int(1, 40);
  }
  while (!large && std::int64_t{pixels} * channels * rows * filters > kProducts) {
    rows = (rows + 1) / 2;
    filters = (filters + 1) / 2;
    if (rows == 1 && filters == 1) break;
  }
  const bool flattens = pixels > 1 && random->OneIn(2);
  const int reduced = pixels * channels;
  Dims dims;
  if (flattens) {
    dims = {rows, 1, pixels, channels};
  } else if (rows == 1 && random->OneIn(4)) {
    dims = {channels};
  } else if (rows % 2 == 0 && random->OneIn(2)) {
    dims = {rows / 2, 2, channels};
  } else {
    dims = {rows, channels};
  }
  const bool bits = type == ElementType::kInt32;
  int row_channels = flattens ? reduced : channels;
  run.inputs.push_back(RandomX(type, dims, random));
  const int pixel_words = (channels + 31) / 32;
  std::vector<std::uint32_t> weights;
  int words;
  if (flattens && bits) {
    weights = RandomWords(std::int64_t{filters} * pixels, channels, random);
    words = pixels * pixel_words;
  } else {
    weights = RandomWords(filters, row_channels, random);
    words = (row_channels + 31) / 32;
  }
  run.inputs.push_back(Constant(ElementType::kInt32, {filters, words}, weights));
  run.options["channels_in"] = row_channels;
  AddEpilogue(filters, std::int64_t{row_channels} * LargestStep(run.inputs[0]), false, random, &run);
  Dims y = {rows, filters};
  if (!flattens) {
    y = dims;
    y.back() = filters;
  }
  PlaceOperands(y, random, &run);
  return run;
}

Dims RandomDims(bool large, Random* random) {
  Dims dims;
  const int rank = random->Int(1, 4);
  for (int axis = 1; axis < rank; ++axis) dims.push_back(random->Int(1, large ? 20 : 5));
  dims.push_back(random->OneIn(4) ? random->Int(1, 700) : RandomChannels(random));
  return dims;
}

Case RandomQuantize(bool large, Random* random) {
  Case run;
  run.op = "BnnQuantize";
  const Dims dims = RandomDims(large, random);
  run.inputs.push_back(RandomX(random->OneIn(3) ? ElementType::kInt8 : ElementType::kFloat32, dims, random));
  if (run.inputs[0].type == ElementType::kFloat32 && random->OneIn(2)) {
    run.inputs.push_back(FloatConstant({dims.back()}, random));
    run.inputs.push_back(FloatConstant({dims.back()}, random));
  }
  run.outputs = {MakeTensor(ElementType::kInt32, {}, random)};
  return run;
}

Case RandomDequantize(bool large, Random* random) {
  Case run;
  run.op = "BnnDequantize";
  const Dims dims = RandomDims(large, random);
  run.inputs.push_back(RandomX(ElementType::kInt32, dims, random));
  run.options["channels"] = dims.back();
  run.outputs = {MakeTensor(random->OneIn(2) ? ElementType::kInt8 : ElementType::kFloat32, {}, random)};
  return run;
}

Case RandomMaxPool2D(bool large, Random* random) {
  Case run;
  Layout layout;
  int words;
  do {
    layout = RandomLayout(large, random);
    layout.down.dilation = layout.across.dilation = 1;
    if (layout.padding == 2) layout.padding = 1;
    layout.top = layout.bottom = layout.left = layout.right = 0;
    words = random->Int(1, 9);
  } while (layout.rows() < 1 || layout.columns() < 1);
  run.op = "BnnMaxPool2D";
  const int channels = 32 * words - random->Int(0, 31);
  run.inputs.push_back(RandomX(ElementType::kInt32, {layout.batch, layout.height, layout.width, channels}, random));
  if (random->OneIn(2)) {
    run.inputs.push_back(Constant(ElementType::kInt32, {words}, RandomWords(1, channels, random)));
  }
  run.options["padding"] = layout.padding;
  run.options["window_h"] = layout.down.size;
  run.options["window_w"] = layout.across.size;
  SetOption("stride_h", layout.down.stride, 1, random, &run);
  SetOption("stride_w", layout.across.stride, 1, random, &run);
  run.outputs = {MakeTensor(ElementType::kInt32, {}, random)};
  return run;
}

}  // namespace

Case RandomCase(Random* random) {
  const bool large = random->OneIn(kOneInMany);
  switch (random->Int(0, 11)) {
    case 0:
      return RandomQuantize(large, random);
    case 1:
      return RandomDequantize(large, random);
    case 2:
      return RandomMaxPool2D(large, random);
    case 3:
    case 4:
      return RandomDepthwiseConv2D(large, random);
    case 5:
    case 6:
      return RandomTransposeConv2D(large, random);
    case 7:
    case 8:
      return RandomFullyConnected(large, random);
    default:
      return RandomConv2D(large, random);
  }
}

}  // namespace keras_bnn
