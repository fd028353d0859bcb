#include "ops/epilogue.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "core/refusal.h"
#include "ops/checks.h"

namespace keras_bnn {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr Range kActivationRanges[] = {{-kInfinity, kInfinity}, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};

constexpr std::int64_t kMostSteps = (std::int64_t{1} << 4 * kMaxSteps) - 1;
constexpr std::size_t kParameters = 4;  // x, weights, multiplier and bias: the inputs before the operands

std::vector<StepKind> ReadSteps(std::int64_t digits) {
  std::vector<StepKind> steps;
  for (std::int64_t rest = digits; rest != 0; rest >>= 4) {
    const auto digit = static_cast<int>(rest & 0xf);
    if (digit < static_cast<int>(StepKind::kAdd) || digit > static_cast<int>(StepKind::kOutput)) {
      Refuse("the option \"steps\" is 0x%llx; expected hexadecimal digits from 1 to 8",
             static_cast<unsigned long long>(digits));
    }
    steps.push_back(static_cast<StepKind>(digit));
  }
  if (std::count(steps.begin(), steps.end(), StepKind::kOutput) > 1) {
    Refuse("the option \"steps\" is 0x%llx; expected the digit 8 at most once",
           static_cast<unsigned long long>(digits));
  }
  return steps;
}

std::size_t OperandCount(const EpilogueOptions& options) {
  return static_cast<std::size_t>(std::count_if(options.steps.begin(), options.steps.end(), ReadsOperand));
}

// "the operand of step 2": steps count from 1.
std::string OperandName(std::size_t step) { return "the operand of step " + std::to_string(step + 1); }

// The same, where "the" goes before and "are" behind.
std::string ValuesName(std::size_t step) { return "values of step " + std::to_string(step + 1); }

// A constant with one value a channel; other constants are read like tensors.
bool IsPerChannel(const TensorInfo& operand) { return operand.constant != nullptr && operand.rank() == 1; }

StepLayer DescribeStep(StepKind kind, std::size_t index, const TensorInfo& operand, int channels_out) {
  const std::string name = OperandName(index);
  StepLayer step = {kind, nullptr, false, 0.0f, 0};
  if (kind == StepKind::kPRelu || IsPerChannel(operand)) {
    step.constant = static_cast<const float*>(
        CheckedConstant(ValuesName(index).c_str(), operand, ElementType::kFloat32, {channels_out}));
    return step;
  }
  if (operand.type != ElementType::kFloat32 && operand.type != ElementType::kInt8) {
    Refuse("%s is %s; expected float32 or int8", name.c_str(), NameOf(operand.type));
  }
  CheckQuantization(name.c_str(), operand);
  step.is_int8 = operand.type == ElementType::kInt8;
  step.scale = operand.scale;
  step.zero_point = operand.zero_point;
  return step;
}

}  // namespace

Range ActivationRange(int number) { return kActivationRanges[number]; }

EpilogueOptions EpilogueOptions::From(Options* options) {
  const int post = options->Optional("activation", 0, 3, 0);
  const int pre = options->Optional("pre_activation", 0, 3, 0);
  const std::int64_t steps = options->OptionalInt64("steps", 0, kMostSteps, 0);
  return {ActivationRange(pre), ActivationRange(post), pre != 0 || post != 0, ReadSteps(steps)};
}

void CheckTensors(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                  const EpilogueOptions& options) {
  const auto most = static_cast<int>(kParameters + OperandCount(options));
  CheckInputCount(inputs, options.steps.empty() ? 3 : most, most);
  CheckOutputCount(outputs, 1, 2);
  const auto is_y = [](ElementType type) { return type == ElementType::kFloat32 || type == ElementType::kInt8; };
  const ElementType first = outputs[0].type;
  if (outputs.size() == 2 && (!is_y(first) || outputs[1].type != ElementType::kInt32)) {
    Refuse("the outputs are of %s and %s; expected float32 or int8, and int32 words", NameOf(first),
           NameOf(outputs[1].type));
  }
  if (!is_y(first) && first != ElementType::kInt32) {
    Refuse("the output is of %s; expected float32, int8, or int32 words", NameOf(first));
  }
  if (first == ElementType::kInt8) CheckQuantization("the output", outputs[0]);
  const bool splits = std::count(options.steps.begin(), options.steps.end(), StepKind::kOutput) > 0;
  if (splits && outputs.size() != 2) {
    Refuse("the option \"steps\" has the digit 8 and the op 1 output; expected 2, y and its bits");
  }
}

EpilogueLayer DescribeEpilogue(const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs,
                               int channels_out, bool exact_sums, const EpilogueOptions& options) {
  EpilogueLayer layer = {};
  const TensorInfo& first = outputs[0];
  layer.y = first.type == ElementType::kInt32  ? OutputType::kNone
            : first.type == ElementType::kInt8 ? OutputType::kInt8
                                               : OutputType::kFloat32;
  layer.bits = layer.y == OutputType::kNone || outputs.size() == 2;
  layer.scale = first.scale;
  layer.zero_point = first.zero_point;
  layer.pre_activation = options.pre_activation;
  layer.activation = options.activation;
  if (inputs.size() < kParameters) {
    if (!exact_sums || layer.y != OutputType::kNone) {
      Refuse("the op has %zu inputs; expected x, weights, multiplier and bias", inputs.size());
    }
    if (options.has_activation) Refuse("an activation comes with thresholds; expected none, the thresholds contain it");
    layer.thresholds =
        static_cast<const std::int32_t*>(CheckedConstant("thresholds", inputs[2], ElementType::kInt32, {channels_out}));
    return layer;
  }
  layer.multiplier =
      static_cast<const float*>(CheckedConstant("multipliers", inputs[2], ElementType::kFloat32, {channels_out}));
  layer.bias = static_cast<const float*>(CheckedConstant("biases", inputs[3], ElementType::kFloat32, {channels_out}));
  std::size_t next = kParameters;
  for (std::size_t i = 0; i < options.steps.size(); ++i) {
    const StepKind kind = options.steps[i];
    if (ReadsOperand(kind)) {
      layer.steps.push_back(DescribeStep(kind, i, inputs[next++], channels_out));
    } else {
      layer.steps.push_back({kind, nullptr, false, 0.0f, 0});
    }
  }
  return layer;
}

std::vector<OperandShape> CheckOperands(const std::vector<TensorInfo>& inputs, const EpilogueOptions& options,
                                        const Dims& y, bool images) {
  std::vector<OperandShape> shapes;
  std::size_t next = kParameters;
  for (std::size_t i = 0; i < options.steps.size(); ++i) {
    shapes.push_back(OperandShape::kChannels);
    if (!ReadsOperand(options.steps[i])) continue;
    const TensorInfo& operand = inputs[next++];
    if (IsPerChannel(operand)) continue;
    if (operand.dims == y) {
      shapes.back() = OperandShape::kPixels;
    } else if (images && operand.dims == Dims{y.front(), 1, 1, y.back()}) {
      shapes.back() = OperandShape::kImages;
    } else {
      const std::string image = images ? ", or " + ShapeText({y.front(), 1, 1, y.back()}) : "";
      Refuse("%s has the shape %s; expected a constant [%d], or a tensor %s%s", OperandName(i).c_str(),
             ShapeText(operand.dims).c_str(), y.back(), ShapeText(y).c_str(), image.c_str());
    }
    if (operand.constant != nullptr) {
      CheckedConstant(ValuesName(i).c_str(), operand, operand.type, operand.dims);
    }
  }
  return shapes;
}

std::vector<Dims> OutputDims(const std::vector<TensorInfo>& outputs, const Dims& y) {
  std::vector<Dims> dims;
  for (const TensorInfo& output : outputs) {
    dims.push_back(y);
    if (output.type == ElementType::kInt32) dims.back().back() = WordsFor(y.back());
  }
  return dims;
}

EpilogueData DataOf(const std::vector<const void*>& inputs, const std::vector<void*>& outputs) {
  return {inputs.size() > kParameters ? inputs.data() + kParameters : nullptr, outputs.data()};
}

}  // namespace keras_bnn
