#include "differential/plain_run.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <type_traits>

namespace keras_bnn {
namespace {

// Bits

std::vector<int> SignsOf(const Tensor& words, std::int64_t channels) {
  const std::vector<std::uint32_t> packed = words.As<std::uint32_t>();
  const std::int64_t row_words = words.last_dim();
  std::vector<int> signs;
  if (row_words == 0) return signs;
  for (std::size_t row = 0; row < packed.size() / row_words; ++row) {
    for (std::int64_t c = 0; c < channels; ++c) {
      signs.push_back((packed[row * row_words + c / 32] >> (c % 32)) % 2 == 1 ? -1 : 1);
    }
  }
  return signs;
}

void SetBits(const std::vector<bool>& bits, int channels, Tensor* words) {
  const int row_words = (channels + 31) / 32;
  const std::size_t rows = bits.size() / channels;
  std::vector<std::uint32_t> packed(rows * row_words, 0);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const std::size_t row = i / channels, c = i % channels;
    if (bits[i]) packed[row * row_words + c / 32] |= std::uint32_t{1} << (c % 32);
  }
  words->Set(packed);
}

// Numbers

float Rounded(double x) { return static_cast<float>(x); }
float Sum(float a, float b) { return Rounded(static_cast<double>(a) + static_cast<double>(b)); }
float Product(float a, float b) { return Rounded(static_cast<double>(a) * static_cast<double>(b)); }
float Quotient(float a, float b) { return Rounded(static_cast<double>(a) / static_cast<double>(b)); }

float Activated(float y, int activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float low = activation == 0 ? -kInfinity : activation == 2 ? -1.0f : 0.0f;
  const float high = activation == 2 ? 1.0f : activation == 3 ? 6.0f : kInfinity;
  y = y < low ? low : y;
  return y > high ? high : y;
}

std::int8_t Quantized(float y, const Tensor& tensor) {
  const double q = std::round(static_cast<double>(Quotient(y, tensor.scale))) + tensor.zero_point;
  return static_cast<std::int8_t>(q >= -128.0 ? std::min(q, 127.0) : -128.0);
}

// int8 as `(q - zero_point) * scale`, rounded once; float32 as it is.
std::vector<float> RealValues(const Tensor& tensor) {
  if (tensor.type == ElementType::kFloat32) return tensor.As<float>();
  std::vector<float> values;
  for (const std::int8_t q : tensor.As<std::int8_t>()) {
    values.push_back(Product(static_cast<float>(q - tensor.zero_point), tensor.scale));
  }
  return values;
}

// What sums are made of: +-1, or q - zero_point.
std::vector<int> Integers(const Tensor& x, std::int64_t channels) {
  if (x.type == ElementType::kInt32) return SignsOf(x, channels);
  std::vector<int> values;
  if (x.type == ElementType::kInt8) {
    for (const std::int8_t q : x.As<std::int8_t>()) values.push_back(q - x.zero_point);
  } else {
    for (const std::uint8_t q : x.As<std::uint8_t>()) values.push_back(q - x.zero_point);
  }
  return values;
}

int Step(int acc, int x, int weight) { return acc + x * weight; }
float Step(float acc, float x, int weight) { return weight > 0 ? Sum(acc, x) : Sum(acc, -x); }

// Windows

struct Axis {
  int input, taps, stride, dilation, before, output;

  int Position(int out, int tap) const { return out * stride - before + tap * dilation; }
  bool Contains(int position) const { return 0 <= position && position < input; }
};

Axis PlaceAxis(const Case& run, int input, int taps, const char* stride_key, const char* dilation_key,
               const char* before_key, const char* after_key) {
  Axis axis = {input, taps, run.Option(stride_key, 1), run.Option(dilation_key, 1), 0, 0};
  const int covered = (taps - 1) * axis.dilation + 1;
  if (run.Option("padding", 0) == 0) {
    axis.output = (input + axis.stride - 1) / axis.stride;
    axis.before = std::max(0, (axis.output - 1) * axis.stride + covered - input) / 2;
  } else {
    axis.before = run.Option(before_key, 0);
    axis.output = (axis.before + input + run.Option(after_key, 0) - covered) / axis.stride + 1;
  }
  return axis;
}

// Sums, [N, OH, OW, O] or [rows, O]

template <typename X>
struct Sums {
  Dims dims;
  std::vector<X> values;
};

template <typename X>
Sums<X> Convolve(const Case& run, const std::vector<X>& x) {
  const Dims& in = run.inputs[0].dims;
  const Tensor& weights = run.inputs[1];
  const int channels = run.Option("channels_in", 0), groups = run.Option("groups", 1);
  const int group_in = channels / groups, filters = weights.dims[0], group_out = filters / groups;
  const std::vector<int> w = SignsOf(weights, group_in);
  const Axis down = PlaceAxis(run, in[1], weights.dims[1], "stride_h", "dilation_h", "pad_top", "pad_bottom");
  const Axis across = PlaceAxis(run, in[2], weights.dims[2], "stride_w", "dilation_w", "pad_left", "pad_right");
  const auto outside = static_cast<X>(run.Option("pad_value", 0));
  Sums<X> sums = {{in[0], down.output, across.output, filters}, {}};
  for (int n = 0; n < in[0]; ++n) {
    for (int row = 0; row < down.output; ++row) {
      for (int column = 0; column < across.output; ++column) {
        for (int o = 0; o < filters; ++o) {
          const int* weight = w.data() + static_cast<std::int64_t>(o) * down.taps * across.taps * group_in;
          X acc = 0;
          for (int i = 0; i < down.taps; ++i) {
            for (int j = 0; j < across.taps; ++j, weight += group_in) {
              const int at_row = down.Position(row, i), at_column = across.Position(column, j);
              if (!down.Contains(at_row) || !across.Contains(at_column)) {
                for (int c = 0; c < group_in; ++c) acc = Step(acc, outside, weight[c]);
                continue;
              }
              const X* pixel =
                  x.data() + ((n * in[1] + at_row) * in[2] + at_column) * channels + o / group_out * group_in;
              for (int c = 0; c < group_in; ++c) acc = Step(acc, pixel[c], weight[c]);
            }
          }
          sums.values.push_back(acc);
        }
      }
    }
  }
  return sums;
}

Sums<int> ConvolveDepthwise(const Case& run) {
  const Dims& in = run.inputs[0].dims;
  const Tensor& weights = run.inputs[1];
  const int channels = run.Option("channels_in", 0), filters = run.inputs[2].last_dim();
  const std::vector<int> x = SignsOf(run.inputs[0], channels);
  const std::vector<int> w = SignsOf(weights, filters);
  const Axis down = PlaceAxis(run, in[1], weights.dims[0], "stride_h", "dilation_h", "pad_top", "pad_bottom");
  const Axis across = PlaceAxis(run, in[2], weights.dims[1], "stride_w", "dilation_w", "pad_left", "pad_right");
  Sums<int> sums = {{in[0], down.output, across.output, filters}, {}};
  for (int n = 0; n < in[0]; ++n) {
    for (int row = 0; row < down.output; ++row) {
      for (int column = 0; column < across.output; ++column) {
        for (int o = 0; o < filters; ++o) {
          int acc = 0;
          for (int i = 0; i < down.taps; ++i) {
            for (int j = 0; j < across.taps; ++j) {
              const int at_row = down.Position(row, i), at_column = across.Position(column, j);
              int value = run.Option("pad_value", 0);
              if (down.Contains(at_row) && across.Contains(at_column)) {
                value = x[((n * in[1] + at_row) * in[2] + at_column) * channels + o / (filters / channels)];
              }
              acc += value * w[(i * across.taps + j) * filters + o];
            }
          }
          sums.values.push_back(acc);
        }
      }
    }
  }
  return sums;
}

Sums<int> ConvolveTransposed(const Case& run) {
  const Dims& in = run.inputs[0].dims;
  const Dims& kernel = run.inputs[1].dims;
  const int channels = run.Option("channels_in", 0), filters = kernel[0];
  const int stride_h = run.Option("stride_h", 1), stride_w = run.Option("stride_w", 1);
  const int top = run.Option("pad_top", 0), left = run.Option("pad_left", 0);
  const int rows = (in[1] - 1) * stride_h + kernel[1] - top - run.Option("pad_bottom", 0);
  const int columns = (in[2] - 1) * stride_w + kernel[2] - left - run.Option("pad_right", 0);
  const std::vector<int> x = SignsOf(run.inputs[0], channels);
  const std::vector<int> w = SignsOf(run.inputs[1], channels);
  Sums<int> sums = {{in[0], rows, columns, filters}, std::vector<int>(in[0] * rows * columns * filters, 0)};
  for (int n = 0; n < in[0]; ++n) {
    for (int i = 0; i < in[1]; ++i) {
      for (int j = 0; j < in[2]; ++j) {
        for (int r = 0; r < kernel[1]; ++r) {
          for (int s = 0; s < kernel[2]; ++s) {
            const int row = i * stride_h + r - top, column = j * stride_w + s - left;
            if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
            const int* pixel = x.data() + ((n * in[1] + i) * in[2] + j) * channels;
            for (int o = 0; o < filters; ++o) {
              const int* weight = w.data() + ((o * kernel[1] + r) * kernel[2] + s) * channels;
              int& acc = sums.values[((n * rows + row) * columns + column) * filters + o];
              for (int c = 0; c < channels; ++c) acc += pixel[c] * weight[c];
            }
          }
        }
      }
    }
  }
  return sums;
}

// The unused bits of a row are 0 in x and in the weights: each adds 1 to the sum of all bits.
template <typename X>
Sums<X> MultiplyRows(const Case& run, const std::vector<X>& x, int row, int unused) {
  const Dims& in = run.inputs[0].dims;
  const int filters = run.inputs[1].dims[0];
  const std::vector<int> w = SignsOf(run.inputs[1], row);
  const int last = run.inputs[0].type == ElementType::kInt32 ? row / 32 : row;
  const auto rows = static_cast<int>(x.size() / row);
  Sums<X> sums = {{rows, filters}, {}};
  if (in.back() == last) {
    sums.dims = in;
    sums.dims.back() = filters;
  }
  for (int n = 0; n < rows; ++n) {
    for (int o = 0; o < filters; ++o) {
      X acc = 0;
      for (int i = 0; i < row; ++i) acc = Step(acc, x[n * row + i], w[o * row + i]);
      if (unused > 0) acc -= static_cast<X>(unused);
      sums.values.push_back(acc);
    }
  }
  return sums;
}

// What follows the sums

class Operand {
 public:
  Operand(const Tensor& tensor, const Dims& y) : values_(RealValues(tensor)), filters_(y.back()) {
    const auto size = static_cast<std::int64_t>(values_.size());
    std::int64_t y_size = 1;
    for (const int dim : y) y_size *= dim;
    // A tensor of y's shape, a value for each channel of each image, or for each channel.
    if (tensor.dims == y) {
      period_ = 1;
    } else if (tensor.dims.size() == 4) {
      period_ = y_size / size;
    } else {
      period_ = y_size / filters_;
    }
  }

  float At(std::int64_t i) const {  // of y's element
    const std::int64_t pixel = i / filters_;
    return values_[pixel / period_ * filters_ + i % filters_];
  }

 private:
  std::vector<float> values_;
  std::int64_t filters_, period_;
};

template <typename X>
void Finish(const Sums<X>& sums, Case* run) {
  std::vector<Tensor>& outputs = run->outputs;
  const int filters = sums.dims.back();
  const std::size_t size = sums.values.size();
  for (Tensor& output : outputs) {
    output.dims = sums.dims;
    if (output.type == ElementType::kInt32) output.dims.back() = (filters + 31) / 32;
  }
  std::vector<bool> bits(size);
  if (run->inputs[2].type == ElementType::kInt32) {
    const std::vector<std::int32_t> thresholds = run->inputs[2].As<std::int32_t>();
    for (std::size_t i = 0; i < size; ++i) bits[i] = sums.values[i] < static_cast<X>(thresholds[i % filters]);
    return SetBits(bits, filters, &outputs[0]);
  }
  const std::vector<float> multiplier = run->inputs[2].As<float>(), bias = run->inputs[3].As<float>();
  const int pre_activation = run->Option("pre_activation", 0), activation = run->Option("activation", 0);
  const auto found = run->options.find("steps");
  const std::int64_t steps = found == run->options.end() ? 0 : found->second;
  std::vector<Operand> operands;
  for (std::size_t i = 4; i < run->inputs.size(); ++i) operands.emplace_back(run->inputs[i], sums.dims);
  std::vector<float> y(size);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t o = i % filters;
    float value = Activated(static_cast<float>(sums.values[i]), pre_activation);
    value = Activated(Sum(Product(value, multiplier[o]), bias[o]), activation);
    bool given = false;
    std::size_t next = 0;
    for (std::int64_t rest = steps; rest != 0; rest /= 16) {
      const int digit = static_cast<int>(rest % 16);
      const float a = digit <= 4 ? operands[next++].At(static_cast<std::int64_t>(i)) : 0.0f;
      if (digit == 1) value = Sum(value, a);
      if (digit == 2) value = Product(value, a);
      if (digit == 3) value = Quotient(value, a);
      if (digit == 4) value = value < 0 ? Product(value, a) : value;
      if (digit >= 5 && digit <= 7) value = Activated(value, digit - 4);
      if (digit == 8) {
        y[i] = value;
        given = true;
      }
    }
    if (!given) y[i] = value;
    bits[i] = value < 0;
  }
  for (Tensor& output : outputs) {
    if (output.type == ElementType::kInt32) {
      SetBits(bits, filters, &output);
    } else if (output.type == ElementType::kFloat32) {
      output.Set(y);
    } else {
      std::vector<std::int8_t> quantized;
      for (const float value : y) quantized.push_back(Quantized(value, output));
      output.Set(quantized);
    }
  }
}

void RunConv2D(Case* run) {
  const Tensor& x = run->inputs[0];
  if (x.type == ElementType::kFloat32) return Finish(Convolve(*run, x.As<float>()), run);
  Finish(Convolve(*run, Integers(x, run->Option("channels_in", 0))), run);
}

void RunFullyConnected(Case* run) {
  const Tensor& x = run->inputs[0];
  const int channels = run->Option("channels_in", 0);
  if (x.type == ElementType::kFloat32) return Finish(MultiplyRows(*run, x.As<float>(), channels, 0), run);
  if (x.type != ElementType::kInt32) return Finish(MultiplyRows(*run, Integers(x, channels), channels, 0), run);
  const int row = run->inputs[1].dims[1] * 32;
  Finish(MultiplyRows(*run, SignsOf(x, std::int64_t{x.last_dim()} * 32), row, row - channels), run);
}

void RunQuantize(Case* run) {
  const Tensor& x = run->inputs[0];
  Tensor& y = run->outputs[0];
  const int channels = x.last_dim();
  std::vector<bool> bits;
  if (x.type == ElementType::kInt8) {
    for (const std::int8_t q : x.As<std::int8_t>()) bits.push_back(q < x.zero_point);
  } else {
    const std::vector<float> values = x.As<float>();
    const bool scaled = run->inputs.size() == 3;
    const std::vector<float> multiplier = scaled ? run->inputs[1].As<float>() : std::vector<float>();
    const std::vector<float> bias = scaled ? run->inputs[2].As<float>() : std::vector<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t c = i % channels;
      bits.push_back((scaled ? Sum(Product(values[i], multiplier[c]), bias[c]) : values[i]) < 0);
    }
  }
  y.dims = x.dims;
  y.dims.back() = (channels + 31) / 32;
  SetBits(bits, channels, &y);
}

void RunDequantize(Case* run) {
  const Tensor& x = run->inputs[0];
  Tensor& y = run->outputs[0];
  const int channels = run->Option("channels", 0);
  const std::vector<int> signs = SignsOf(x, channels);
  y.dims = x.dims;
  y.dims.back() = channels;
  if (y.type == ElementType::kFloat32) {
    y.Set(std::vector<float>(signs.begin(), signs.end()));
  } else {
    std::vector<std::int8_t> quantized;
    for (const int sign : signs) quantized.push_back(Quantized(static_cast<float>(sign), y));
    y.Set(quantized);
  }
}

void RunMaxPool2D(Case* run) {
  const Tensor& x = run->inputs[0];
  Tensor& y = run->outputs[0];
  const int channels = x.last_dim() * 32;
  const std::vector<int> signs = SignsOf(x, channels);
  const std::vector<int> minimum = run->inputs.size() == 2 ? SignsOf(run->inputs[1], channels) : std::vector<int>();
  const Axis down = PlaceAxis(*run, x.dims[1], run->Option("window_h", 1), "stride_h", "", "", "");
  const Axis across = PlaceAxis(*run, x.dims[2], run->Option("window_w", 1), "stride_w", "", "", "");
  y.dims = {x.dims[0], down.output, across.output, x.last_dim()};
  std::vector<bool> bits;
  for (int n = 0; n < x.dims[0]; ++n) {
    for (int row = 0; row < down.output; ++row) {
      for (int column = 0; column < across.output; ++column) {
        for (int c = 0; c < channels; ++c) {
          int most = -1, least = 1;
          for (int i = 0; i < down.taps; ++i) {
            for (int j = 0; j < across.taps; ++j) {
              const int at_row = down.Position(row, i), at_column = across.Position(column, j);
              if (!down.Contains(at_row) || !across.Contains(at_column)) continue;
              const int value = signs[((n * x.dims[1] + at_row) * x.dims[2] + at_column) * channels + c];
              most = std::max(most, value);
              least = std::min(least, value);
            }
          }
          bits.push_back((!minimum.empty() && minimum[c] < 0 ? least : most) < 0);
        }
      }
    }
  }
  SetBits(bits, channels, &y);
}

}  // namespace

void RunPlain(Case* run) {
  const std::string& op = run->op;
  if (op == "BnnQuantize") {
    RunQuantize(run);
  } else if (op == "BnnDequantize") {
    RunDequantize(run);
  } else if (op == "BnnMaxPool2D") {
    RunMaxPool2D(run);
  } else if (op == "BnnConv2D") {
    RunConv2D(run);
  } else if (op == "BnnFullyConnected") {
    RunFullyConnected(run);
  } else if (op == "BnnDepthwiseConv2D") {
    Finish(ConvolveDepthwise(*run), run);
  } else if (op == "BnnTransposeConv2D") {
    Finish(ConvolveTransposed(*run), run);
  } else {
    std::fprintf(stderr, "no plain %s\n", op.c_str());
    std::abort();
  }
}

}  // namespace keras_bnn
