// One op of a model file, as a runtime loads, sizes and runs it: on some kernel set, and on the scalar one, whose
// outputs must be the same.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/memory_limit.h"
#include "fuzz/op_case.h"
#include "fuzz/op_names.h"
#include "fuzz/runtime.h"
#include "support/tflite_host.h"

namespace keras_bnn {
namespace {

constexpr std::size_t kMostTensorBytes = std::size_t{1} << 18;
constexpr std::int64_t kMostWork = 1 << 21;  // output pixels times values of all inputs

// One for each kernel set that runs here, the scalar one last; for good, so that their threads start once.
const std::vector<DelegatePointer>& Delegates() {
  static const auto* const delegates = [] {
    auto* all = new std::vector<DelegatePointer>;
    for (const int kernel_set : SupportedKernelSets()) all->push_back(MakeDelegate(kernel_set, false));
    return all;
  }();
  return *delegates;
}

struct Case {
  OpCase op;
  std::vector<std::uint8_t> options;
  std::uint32_t seed;
  bool unused_bits;                // whether packed x has bits set where it has no channels
  std::vector<int> second_x_dims;  // after a run, the shape of x for another
};

// What a runtime gets from an op. Of a run that did not come about, nothing.
struct Outcome {
  std::string reports;
  std::vector<std::vector<int>> dims;
  std::vector<std::vector<std::uint8_t>> data;
};

class Model {
 public:
  Model(const Case& test_case, TfLiteDelegate* delegate, int threads) : case_(test_case) {
    for (const TensorCase& input : case_.op.inputs) inputs_.push_back(Add(input));
    for (const TensorCase& output : case_.op.outputs) outputs_.push_back(Add(output));
    host_.AddNode(case_.op.name.c_str(), inputs_, outputs_, case_.options);
    std::vector<int> variable;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i] >= 0 && !case_.op.inputs[i].constant) variable.push_back(inputs_[i]);
    }
    host_.SetInputsAndOutputs(variable, outputs_);
    host_.SetThreads(threads);
    host_.SetMostTensorBytes(kMostTensorBytes);
    host_.Apply(delegate);
  }

  // False where x cannot have these sizes.
  bool ResizeX(const std::vector<int>& dims) {
    if (inputs_.empty() || host_.ResizeInput(inputs_[0], dims) != kTfLiteOk) return false;
    for (std::size_t i = 1; i < inputs_.size(); ++i) {  // operands are of as many images
      const TensorCase& operand = case_.op.inputs[i];
      if (operand.constant || operand.absent || operand.dims.empty() || dims.empty()) continue;
      std::vector<int> operand_dims = operand.dims;
      operand_dims[0] = dims[0];
      host_.ResizeInput(inputs_[i], operand_dims);
    }
    return true;
  }

  Outcome Run() {
    Outcome outcome;
    const bool sized = host_.AllocateTensors() == kTfLiteOk;
    if (sized && IsSmall()) {
      Fill();
      if (host_.Invoke() == kTfLiteOk) {
        for (const int output : outputs_) {
          outcome.dims.push_back(host_.Dims(output));
          outcome.data.emplace_back(host_.TensorBytes(output));
          host_.ReadBytes(output, outcome.data.back().data(), outcome.data.back().size());
        }
      }
    }
    outcome.reports = host_.reports();
    return outcome;
  }

 private:
  int Add(const TensorCase& tensor) {
    if (tensor.absent) return kTfLiteOptionalTensor;
    const int index = tensor.constant ? host_.AddConstantBytes("constant", tensor.type, tensor.dims, tensor.data.data(),
                                                               tensor.data.size())
                                      : host_.AddTensor("tensor", tensor.type, tensor.dims);
    host_.SetQuantization(index, tensor.scale, tensor.zero_point);
    return index;
  }

  bool IsSmall() const {
    std::int64_t values = 0;
    for (const int input : inputs_) values += input < 0 ? 0 : static_cast<std::int64_t>(host_.TensorBytes(input));
    std::int64_t pixels = 0;
    for (const int output : outputs_) {
      const std::vector<int> dims = host_.Dims(output);
      const auto bytes = static_cast<std::int64_t>(host_.TensorBytes(output));
      pixels = std::max(pixels, bytes / (dims.empty() || dims.back() == 0 ? 1 : dims.back()));
    }
    return pixels * values <= kMostWork;
  }

  void Fill() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const TensorCase& input = case_.op.inputs[i];
      if (inputs_[i] < 0 || input.constant) continue;
      int channels = 0;
      for (const char* key : {"channels", "channels_in"}) {
        const auto option = case_.op.options.find(key);
        if (option != case_.op.options.end() && !case_.unused_bits) channels = static_cast<int>(option->second);
      }
      const std::size_t bytes = host_.TensorBytes(inputs_[i]);
      const std::vector<std::uint8_t> values =
          Values(input.type, bytes, case_.seed + static_cast<std::uint32_t>(i), std::max(0, channels));
      host_.WriteBytes(inputs_[i], values.data(), bytes);
    }
  }

  const Case& case_;
  TfLiteHost host_;
  std::vector<int> inputs_, outputs_;
};

std::vector<Outcome> RunTwice(const Case& test_case, TfLiteDelegate* delegate, int threads) {
  Model model(test_case, delegate, threads);
  std::vector<Outcome> outcomes = {model.Run()};
  if (!outcomes[0].data.empty() && model.ResizeX(test_case.second_x_dims)) outcomes.push_back(model.Run());
  return outcomes;
}

void ExpectSame(const Case& test_case, const std::vector<Outcome>& a, const std::vector<Outcome>& b) {
  bool same = a.size() == b.size();
  for (std::size_t run = 0; same && run < a.size(); ++run) {
    same = a[run].reports == b[run].reports && a[run].dims == b[run].dims;
    for (std::size_t i = 0; same && i < a[run].data.size(); ++i) {
      same = SameData(test_case.op.outputs[i].type, a[run].data[i], b[run].data[i]);
    }
  }
  if (same) return;
  std::fprintf(stderr, "%s: the kernel sets differ\n%s%s", test_case.op.name.c_str(), a.back().reports.c_str(),
               b.back().reports.c_str());
  std::abort();
}

void RunCase(Input* input) {
  Case test_case;
  const std::string name = kOpNames[input->Choice(kOpNameCount)];
  const auto& delegates = Delegates();
  const int kernel_set = input->Choice(static_cast<int>(delegates.size()));
  const int threads = input->OneIn(4) ? 2 : 1;
  test_case.seed = input->Byte();
  test_case.unused_bits = input->OneIn(32);
  const int spoiled = std::max(0, input->Choice(6) - 2);
  const TensorCase x = MakeX(name, input);
  test_case.second_x_dims = x.dims;
  for (int& dim : test_case.second_x_dims) {
    if (&dim != &test_case.second_x_dims.back() && input->OneIn(2)) dim = input->Choice(12);
  }
  test_case.op = MakeOpCase(name, x, input);
  for (int i = 0; i < spoiled; ++i) Spoil(&test_case.op, input);
  test_case.options = OptionBytes(test_case.op, input);
  const std::vector<Outcome> outcomes = RunTwice(test_case, delegates[kernel_set].get(), threads);
  if (test_case.unused_bits) return;
  ExpectSame(test_case, outcomes, RunTwice(test_case, delegates.back().get(), 1));
}

}  // namespace
}  // namespace keras_bnn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const keras_bnn::MemoryLimit memory_limit;
  keras_bnn::Input input(data, size);
  keras_bnn::RunCase(&input);
  return 0;
}
