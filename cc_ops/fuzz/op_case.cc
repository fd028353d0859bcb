#include "fuzz/op_case.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "core/layout.h"
#include "core/refusal.h"
#include "core/transposed_window.h"
#include "core/window.h"
#include "support/flexbuffer_map.h"

namespace keras_bnn {
namespace {

constexpr std::size_t kMostConstantBytes = std::size_t{1} << 16;

constexpr TfLiteType kTypes[] = {kTfLiteFloat32, kTfLiteInt32, kTfLiteInt8, kTfLiteUInt8, static_cast<TfLiteType>(4)};

constexpr std::int64_t kNumbers[] = {0,          1,          -1,          2,          3,           31,
                                     32,         33,         64,          127,        128,         255,
                                     256,        65535,      65536,       1 << 22,    1 << 26,     (1 << 30) - 1,
                                     1 << 30,    0x7fffffff, 0x7ffffffe,  0x7fffffe0, 0x80000000,  -0x80000000ll,
                                     0xffffffff, 1ll << 32,  -0x7fffffff, 1ll << 62,  0x3ffffffff, ~(1ll << 63)};

constexpr const char* kKeys[] = {
    "version",    "channels",      "channels_in",  "groups",        "stride_h",   "stride_w",
    "dilation_h", "dilation_w",    "window_h",     "window_w",      "padding",    "pad_top",
    "pad_bottom", "pad_left",      "pad_right",    "pad_value",     "activation", "pre_activation",
    "steps",      "stride_height", "stride_width", "filter_height", "pad_values", "fused_activation_function"};

std::int64_t AnyNumber(Input* input) {
  const int choice = input->Choice(static_cast<int>(std::size(kNumbers)) + 4);
  if (choice < 2) return input->Byte();
  if (choice == 2) return input->Whole<std::int32_t>();
  if (choice == 3) return input->Whole<std::int64_t>();
  return kNumbers[choice - 4];
}

bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

int Clamped(std::int64_t value) {
  return static_cast<int>(
      std::clamp<std::int64_t>(value, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

TensorCase Tensor(TfLiteType type, std::vector<int> dims) {
  TensorCase tensor;
  tensor.type = type;
  tensor.dims = std::move(dims);
  return tensor;
}

void Quantize(TensorCase* tensor, Input* input) {
  if (tensor->type != kTfLiteInt8 && tensor->type != kTfLiteUInt8) return;
  tensor->scale = 0.125f * static_cast<float>(1 + input->Choice(16));
  tensor->zero_point = tensor->type == kTfLiteInt8 ? input->Int(-128, 127) : input->Int(0, 255);
}

TensorCase Constant(TfLiteType type, std::vector<int> dims, int channels, Input* input) {
  TensorCase tensor = Tensor(type, std::move(dims));
  tensor.constant = true;
  tensor.data = Values(type, BytesOf(type, tensor.dims, kMostConstantBytes), input->Byte(), channels);
  return tensor;
}

// Sums of some hundred, so that thresholds cut them.
TensorCase Thresholds(int channels, Input* input) {
  TensorCase tensor = Constant(kTfLiteInt32, {channels}, 0, input);
  for (std::size_t i = 0; i + 4 <= tensor.data.size(); i += 4) {
    std::int32_t value;
    std::memcpy(&value, tensor.data.data() + i, sizeof(value));
    if (value % 16 != 0) value %= 300;
    std::memcpy(tensor.data.data() + i, &value, sizeof(value));
  }
  return tensor;
}

int Dim(const TensorCase& tensor, std::size_t axis) { return axis < tensor.dims.size() ? tensor.dims[axis] : 1; }

int LastDim(const TensorCase& tensor) { return tensor.dims.empty() ? 1 : tensor.dims.back(); }

// The channels that packed words may hold.
int ChannelsOf(const TensorCase& x, Input* input) {
  const int last = std::max(1, LastDim(x));
  if (x.type != kTfLiteInt32) return last;
  return Clamped(std::int64_t{last} * kWordBits - input->Choice(kWordBits));
}

struct Axis {
  const char* axis;  // the ending of the options' names
  int taps = 1, stride = 1, dilation = 1, pad_before = 0, pad_after = 0;
};

// One byte decides taps and stride.
Axis MakeAxis(const char* name, Input* input) {
  Axis axis = {name};
  const int choice = input->Byte();
  axis.taps = 1 + choice % 5;
  axis.stride = 1 + choice / 5 % 3;
  axis.dilation = choice >= 180 ? input->Int(2, 4) : 1;
  if (choice == 254) axis.stride = std::max(1, Clamped(AnyNumber(input)));
  if (choice == 255) axis.dilation = std::max(1, Clamped(AnyNumber(input)));
  return axis;
}

int AnyPad(Input* input) {
  const int choice = input->Byte();
  return choice == 255 ? std::max(0, Clamped(AnyNumber(input))) : choice % 6;
}

// The options that BnnConv2D and BnnDepthwiseConv2D have in common; returns the output's pixels on both axes.
std::pair<int, int> AddWindow(OpCase* op, Axis* vertical, Axis* horizontal, Input* input) {
  const int padding = input->Choice(3);
  op->options["padding"] = padding;
  op->options["stride_h"] = vertical->stride;
  op->options["stride_w"] = horizontal->stride;
  op->options["dilation_h"] = vertical->dilation;
  op->options["dilation_w"] = horizontal->dilation;
  if (padding == 2) {
    op->options["pad_top"] = vertical->pad_before = AnyPad(input);
    op->options["pad_bottom"] = vertical->pad_after = AnyPad(input);
    op->options["pad_left"] = horizontal->pad_before = AnyPad(input);
    op->options["pad_right"] = horizontal->pad_after = AnyPad(input);
  }
  const TensorCase& x = op->inputs[0];
  if (x.type == kTfLiteFloat32 || x.type == kTfLiteInt32) op->options["pad_value"] = input->Int(-1, 1);
  const auto output = [&](int pixels, const Axis& axis) {
    try {
      return Window::Place("", pixels, axis.taps, axis.stride, axis.dilation, static_cast<Padding>(padding),
                           axis.pad_before, axis.pad_after)
          .output;
    } catch (const Refusal&) {
      return 0;
    }
  };
  return {output(Dim(x, 1), *vertical), output(Dim(x, 2), *horizontal)};
}

// What follows x and weights, and the outputs: `y` is their shape but for the channels of packed bits.
void AddEpilogue(OpCase* op, const std::vector<int>& y, bool exact_sums, bool images, Input* input) {
  const int channels = y.back();
  std::vector<int> words = y;
  words.back() = WordsFor(channels);
  const int form = input->Choice(6);  // 0: thresholds, 1: bits, 2: floats, 3: int8, 4 and 5: with bits
  if (form == 0 && exact_sums) {
    op->inputs.push_back(Thresholds(channels, input));
    op->outputs.push_back(Tensor(kTfLiteInt32, words));
    return;
  }
  op->inputs.push_back(Constant(kTfLiteFloat32, {channels}, 0, input));
  op->inputs.push_back(Constant(kTfLiteFloat32, {channels}, 0, input));
  if (form >= 2) {
    op->outputs.push_back(Tensor(form % 2 == 0 ? kTfLiteFloat32 : kTfLiteInt8, y));
    Quantize(&op->outputs[0], input);
  }
  if (form <= 1 || form >= 4) op->outputs.push_back(Tensor(kTfLiteInt32, words));
  const int activations = input->Choice(16);
  if (activations % 4 != 0) op->options["activation"] = activations % 4;
  if (activations / 4 != 0) op->options["pre_activation"] = activations / 4;
  std::int64_t steps = 0;
  const int count = std::max(0, input->Choice(8) - 3);
  for (int i = 0; i < count; ++i) {
    const int kind = input->Int(1, form >= 4 ? 8 : 7);
    steps |= std::int64_t{kind} << (4 * i);
    if (kind > 4) continue;
    const int shape = kind == 4 ? 0 : input->Choice(5);
    if (shape == 0) {
      op->inputs.push_back(Constant(kTfLiteFloat32, {channels}, 0, input));
      continue;
    }
    std::vector<int> dims = y;
    if (shape == 1 && images && y.size() == 4) dims = {y[0], 1, 1, channels};
    if (shape == 2) {
      op->inputs.push_back(Constant(kTfLiteFloat32, dims, 0, input));
      continue;
    }
    op->inputs.push_back(Tensor(shape == 3 ? kTfLiteInt8 : kTfLiteFloat32, dims));
    Quantize(&op->inputs.back(), input);
  }
  if (steps != 0) op->options["steps"] = steps;
}

void MakeConv2D(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels_in = ChannelsOf(x, input);
  int groups = input->OneIn(4) ? input->Int(1, 5) : 1;
  while (channels_in % groups != 0) --groups;
  Axis vertical = MakeAxis("h", input);
  Axis horizontal = MakeAxis("w", input);
  const int channels_out = groups * std::max(1, input->Byte() / (groups == 1 ? 2 : 6));
  op->options["channels_in"] = channels_in;
  if (groups != 1) op->options["groups"] = groups;
  const auto [height, width] = AddWindow(op, &vertical, &horizontal, input);
  op->inputs.push_back(Constant(kTfLiteInt32,
                                {channels_out, vertical.taps, horizontal.taps, WordsFor(channels_in / groups)},
                                channels_in / groups, input));
  AddEpilogue(op, {Dim(x, 0), height, width, channels_out}, x.type != kTfLiteFloat32, true, input);
}

void MakeDepthwiseConv2D(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels_in = ChannelsOf(x, input);
  Axis vertical = MakeAxis("h", input);
  Axis horizontal = MakeAxis("w", input);
  const int channels_out = Clamped(std::int64_t{channels_in} * std::max(1, input->Choice(6) - 2));
  op->options["channels_in"] = channels_in;
  const auto [height, width] = AddWindow(op, &vertical, &horizontal, input);
  op->inputs.push_back(
      Constant(kTfLiteInt32, {vertical.taps, horizontal.taps, WordsFor(channels_out)}, channels_out, input));
  AddEpilogue(op, {Dim(x, 0), height, width, channels_out}, true, true, input);
}

void MakeTransposeConv2D(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels_in = ChannelsOf(x, input);
  Axis axes[] = {MakeAxis("h", input), MakeAxis("w", input)};
  const int channels_out = std::max(1, input->Byte() / 2);
  op->options["channels_in"] = channels_in;
  op->options["stride_h"] = axes[0].stride;
  op->options["stride_w"] = axes[1].stride;
  if (input->OneIn(2)) {
    op->options["pad_top"] = axes[0].pad_before = input->Choice(4);
    op->options["pad_bottom"] = axes[0].pad_after = input->Int(std::max(1 - axes[0].stride, -200), 3);
    op->options["pad_left"] = axes[1].pad_before = input->Choice(4);
    op->options["pad_right"] = axes[1].pad_after = input->Int(std::max(1 - axes[1].stride, -200), 3);
  }
  const auto output = [](int pixels, const Axis& axis) {
    return Clamped((std::int64_t{pixels} - 1) * axis.stride + axis.taps - axis.pad_before - axis.pad_after);
  };
  op->inputs.push_back(
      Constant(kTfLiteInt32, {channels_out, axes[0].taps, axes[1].taps, WordsFor(channels_in)}, channels_in, input));
  AddEpilogue(op, {Dim(x, 0), output(Dim(x, 1), axes[0]), output(Dim(x, 2), axes[1]), channels_out}, true, true, input);
}

void MakeFullyConnected(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels_in = ChannelsOf(x, input);
  const int channels_out = std::max<int>(1, input->Byte());
  op->options["channels_in"] = channels_in;
  op->inputs.push_back(Constant(kTfLiteInt32, {channels_out, WordsFor(channels_in)}, channels_in, input));
  std::vector<int> y = x.dims;
  if (y.empty()) y.push_back(1);
  y.back() = channels_out;
  AddEpilogue(op, y, x.type != kTfLiteFloat32, false, input);
}

void MakeMaxPool2D(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const Axis axes[] = {MakeAxis("h", input), MakeAxis("w", input)};
  const int padding = input->Choice(2);
  const bool larq = StartsWith(op->name, "Lce");
  op->options[larq ? "filter_height" : "window_h"] = axes[0].taps;
  op->options[larq ? "filter_width" : "window_w"] = axes[1].taps;
  op->options[larq ? "stride_height" : "stride_h"] = axes[0].stride;
  op->options[larq ? "stride_width" : "stride_w"] = axes[1].stride;
  op->options["padding"] = padding;
  if (input->OneIn(3)) op->inputs.push_back(Constant(kTfLiteInt32, {LastDim(x)}, 0, input));
  const auto output = [&](int pixels, const Axis& axis) {
    const int whole = padding == 0 ? pixels : pixels - axis.taps + 1;
    return whole <= 0 ? 0 : CeilDiv(std::min(whole, 1 << 24), axis.stride);
  };
  op->outputs.push_back(
      Tensor(kTfLiteInt32, {Dim(x, 0), output(Dim(x, 1), axes[0]), output(Dim(x, 2), axes[1]), LastDim(x)}));
}

void MakeQuantize(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  if (input->OneIn(3)) {
    op->inputs.push_back(Constant(kTfLiteFloat32, {LastDim(x)}, 0, input));
    op->inputs.push_back(Constant(kTfLiteFloat32, {LastDim(x)}, 0, input));
  }
  op->outputs.push_back(Tensor(kTfLiteInt32, x.dims));
  if (!x.dims.empty()) op->outputs[0].dims.back() = WordsFor(std::max(0, LastDim(x)));
}

void MakeDequantize(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels = ChannelsOf(x, input);
  if (!StartsWith(op->name, "Lce")) op->options["channels"] = channels;
  op->outputs.push_back(Tensor(input->OneIn(2) ? kTfLiteInt8 : kTfLiteFloat32, x.dims));
  if (!x.dims.empty()) op->outputs[0].dims.back() = channels;
  Quantize(&op->outputs[0], input);
}

void MakeLceBConv2D(OpCase* op, Input* input) {
  const TensorCase x = op->inputs[0];
  const int channels_in = ChannelsOf(x, input);
  const int words = WordsFor(channels_in);
  int groups = input->OneIn(4) && channels_in % kWordBits == 0 ? input->Int(1, 4) : 1;
  while (words % groups != 0) --groups;
  const Axis axes[] = {MakeAxis("h", input), MakeAxis("w", input)};
  const int channels_out = groups * std::max(1, input->Byte() / (groups == 1 ? 2 : 6));
  const int padding = input->Choice(2);
  op->options = {{"channels_in", channels_in},
                 {"stride_height", axes[0].stride},
                 {"stride_width", axes[1].stride},
                 {"dilation_height_factor", axes[0].dilation},
                 {"dilation_width_factor", axes[1].dilation},
                 {"padding", padding},
                 {"pad_values", input->Choice(2)},
                 {"fused_activation_function", input->Choice(4)}};
  op->inputs.push_back(
      Constant(kTfLiteInt32, {channels_out, axes[0].taps, axes[1].taps, words / groups}, channels_in / groups, input));
  op->inputs.push_back(Constant(kTfLiteFloat32, {channels_out}, 0, input));
  op->inputs.push_back(Constant(kTfLiteFloat32, {channels_out}, 0, input));
  op->inputs.push_back(Thresholds(channels_out, input));
  const int form = input->Choice(3);
  if (form == 0) {
    op->inputs[2].absent = op->inputs[3].absent = input->OneIn(2);
  } else {
    op->inputs[4].absent = input->OneIn(2);
  }
  const auto output = [&](int pixels, const Axis& axis) {
    try {
      return Window::Place("", pixels, axis.taps, axis.stride, axis.dilation, static_cast<Padding>(padding), 0, 0)
          .output;
    } catch (const Refusal&) {
      return 0;
    }
  };
  op->outputs.push_back(Tensor(form == 0   ? kTfLiteInt32
                               : form == 1 ? kTfLiteFloat32
                                           : kTfLiteInt8,
                               {Dim(x, 0), output(Dim(x, 1), axes[0]), output(Dim(x, 2), axes[1]),
                                form == 0 ? WordsFor(channels_out) : channels_out}));
  Quantize(&op->outputs[0], input);
}

void SpoilTensor(TensorCase* tensor, Input* input) {
  const auto axis = [&] { return static_cast<std::size_t>(input->Choice(static_cast<int>(tensor->dims.size()))); };
  switch (input->Choice(9)) {
    case 0:
      if (!tensor->dims.empty()) tensor->dims[axis()] = static_cast<int>(AnyNumber(input));
      break;
    case 1:
      if (!tensor->dims.empty()) {
        int& dim = tensor->dims[axis()];
        dim = Clamped(std::int64_t{dim} + input->Int(-2, 2));
      }
      break;
    case 2:
      if (input->OneIn(2) && !tensor->dims.empty()) {
        tensor->dims.pop_back();
      } else {
        tensor->dims.push_back(static_cast<int>(AnyNumber(input)));
      }
      break;
    case 3:
      tensor->type = kTypes[input->Choice(static_cast<int>(std::size(kTypes)))];
      break;
    case 4:
      tensor->absent = !tensor->absent;
      break;
    case 5:
      tensor->constant = !tensor->constant;
      if (tensor->constant) {
        tensor->data = Values(tensor->type, BytesOf(tensor->type, tensor->dims, kMostConstantBytes), input->Byte(), 0);
      }
      break;
    case 6:  // a constant of more or fewer bytes than its shape says
      if (!tensor->constant)
        tensor->data = Values(tensor->type, BytesOf(tensor->type, tensor->dims, kMostConstantBytes), input->Byte(), 0);
      tensor->constant = true;
      tensor->data.resize(std::max(0, Clamped(static_cast<std::int64_t>(tensor->data.size()) + input->Int(-8, 8))));
      break;
    case 7: {
      const auto bits = input->Whole<std::uint32_t>();
      std::memcpy(&tensor->scale, &bits, sizeof(bits));
      break;
    }
    default:
      tensor->zero_point = static_cast<std::int32_t>(AnyNumber(input));
      break;
  }
}

}  // namespace

std::size_t BytesOf(TfLiteType type, const std::vector<int>& dims, std::size_t most) {
  std::size_t bytes = type == kTfLiteFloat32 || type == kTfLiteInt32 ? 4 : 1;
  for (const int dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes)) return 0;
  }
  return bytes > most ? 0 : bytes;
}

std::vector<std::uint8_t> Values(TfLiteType type, std::size_t bytes, std::uint32_t seed, int channels) {
  constexpr std::uint32_t kSpecial[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00000001,
                                        0x807fffff, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xcf000000, 0x4f000000};
  std::vector<std::uint8_t> values(bytes);
  const int words = WordsFor(channels);
  std::uint64_t state = (std::uint64_t{seed} + 1) * 0x9e3779b97f4a7c15u;
  std::size_t at = 0;
  for (int word = 0; at < bytes; at += 4, word = word + 1 == words ? 0 : word + 1) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    auto bits = static_cast<std::uint32_t>(state >> 16);
    if (type == kTfLiteFloat32) {
      // From 2^-8 to 2^8; some seeds also give numbers that are none.
      const bool special = seed % 4 == 3 && bits % 8 == 0;
      bits =
          special ? kSpecial[bits / 8 % std::size(kSpecial)] : (bits & 0x807fffff) | ((119 + (bits >> 23 & 15)) << 23);
    } else if (channels % kWordBits != 0 && word + 1 == words) {
      bits &= (std::uint32_t{1} << channels % kWordBits) - 1;
    }
    std::memcpy(values.data() + at, &bits, std::min<std::size_t>(4, bytes - at));
  }
  return values;
}

TensorCase MakeX(const std::string& name, Input* input) {
  TensorCase x;
  x.type = kTfLiteInt32;
  const bool dense = name == "BnnFullyConnected";
  if (name == "BnnConv2D" || dense) x.type = kTypes[(1 + input->Choice(4)) % 4];
  if (name == "BnnQuantize" || name == "LceQuantize") x.type = input->OneIn(2) ? kTfLiteInt8 : kTfLiteFloat32;
  Quantize(&x, input);
  const int last = x.type == kTfLiteInt32 ? input->Int(1, 6) : input->Int(1, 70);
  if (dense || input->OneIn(16)) {
    x.dims.assign(input->Choice(4), 0);
    for (int& dim : x.dims) dim = input->Choice(5);
    x.dims.push_back(last);
  } else {
    const int size = input->Byte();
    x.dims = {input->OneIn(3) ? input->Choice(4) : 1, 1 + size % 16, 1 + size / 16, last};
    if (input->OneIn(8)) x.dims[2] = 1 + input->Byte();
    if (input->OneIn(16)) {  // an image without end, of which there may be none
      x.dims[0] = input->Choice(2);
      x.dims[1 + input->Choice(2)] = std::max(0, Clamped(AnyNumber(input)));
    }
  }
  return x;
}

OpCase MakeOpCase(const std::string& name, const TensorCase& x, Input* input) {
  OpCase op;
  op.name = name;
  op.inputs.push_back(x);
  if (!StartsWith(name, "Lce")) op.options["version"] = 1;
  if (name == "BnnConv2D") {
    MakeConv2D(&op, input);
  } else if (name == "BnnFullyConnected") {
    MakeFullyConnected(&op, input);
  } else if (name == "BnnDepthwiseConv2D") {
    MakeDepthwiseConv2D(&op, input);
  } else if (name == "BnnTransposeConv2D") {
    MakeTransposeConv2D(&op, input);
  } else if (name == "LceBconv2d") {
    MakeLceBConv2D(&op, input);
  } else if (name == "BnnMaxPool2D" || name == "LceBMaxPool2d") {
    MakeMaxPool2D(&op, input);
  } else if (name == "BnnDequantize" || name == "LceDequantize") {
    MakeDequantize(&op, input);
  } else {
    MakeQuantize(&op, input);
  }
  return op;
}

void Spoil(OpCase* op, Input* input) {
  switch (input->Choice(8)) {
    case 0: {
      auto option = op->options.begin();
      if (op->options.empty()) break;
      std::advance(option, input->Choice(static_cast<int>(op->options.size())));
      option->second = AnyNumber(input);
      break;
    }
    case 1:
      op->options[kKeys[input->Choice(static_cast<int>(std::size(kKeys)))]] = AnyNumber(input);
      break;
    case 2: {
      auto option = op->options.begin();
      if (op->options.empty()) break;
      std::advance(option, input->Choice(static_cast<int>(op->options.size())));
      op->options.erase(option);
      break;
    }
    case 3:
      if (input->OneIn(2) && !op->inputs.empty()) {
        op->inputs.pop_back();
      } else if (!op->inputs.empty()) {
        op->inputs.push_back(op->inputs[input->Choice(static_cast<int>(op->inputs.size()))]);
      }
      break;
    case 4:
      if (input->OneIn(2) && !op->outputs.empty()) {
        op->outputs.pop_back();
      } else if (!op->outputs.empty()) {
        op->outputs.push_back(op->outputs[0]);
      }
      break;
    case 5:
      if (!op->outputs.empty()) {
        SpoilTensor(&op->outputs[input->Choice(static_cast<int>(op->outputs.size()))], input);
      }
      break;
    default:
      if (!op->inputs.empty()) SpoilTensor(&op->inputs[input->Choice(static_cast<int>(op->inputs.size()))], input);
      break;
  }
}

std::vector<std::uint8_t> OptionBytes(const OpCase& op, Input* input) {
  const int form = input->Choice(32);
  if (form == 31) return input->Bytes(256);
  if (op.options.empty() && form % 2 == 0) return {};
  std::vector<std::uint8_t> bytes = FlexbufferMap(op.options, 8);
  if (form == 30) bytes[input->Whole<std::uint16_t>() % bytes.size()] = input->Byte();
  return bytes;
}

}  // namespace keras_bnn
