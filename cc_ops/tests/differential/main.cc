// Runs random ops with every kernel set of this CPU, on one or two threads, and compares all outputs with plain
// arithmetic. The inputs and outputs touch unmapped pages. Prints a line for every difference, with the arguments that
// repeat it, and then how many cases of each op ran.
//
//     keras_bnn_differential [--seed 1] [--first 0] [--cases 20000]
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "differential/case.h"
#include "differential/plain_run.h"
#include "differential/random_case.h"
#include "support/guarded_array.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

struct Arguments {
  std::uint64_t seed = 1, first = 0, cases = 20000;
};

Arguments ReadArguments(int count, char** texts) {
  Arguments arguments;
  for (int i = 1; i < count; i += 2) {
    std::uint64_t* value = std::strcmp(texts[i], "--seed") == 0    ? &arguments.seed
                           : std::strcmp(texts[i], "--first") == 0 ? &arguments.first
                           : std::strcmp(texts[i], "--cases") == 0 ? &arguments.cases
                                                                   : nullptr;
    if (value == nullptr || i + 1 == count) {
      std::fprintf(stderr, "usage: %s [--seed N] [--first N] [--cases N]\n", texts[0]);
      std::exit(2);
    }
    *value = std::strtoull(texts[i + 1], nullptr, 10);
  }
  return arguments;
}

// What a crash says before the program dies of it.
char current_case[96];

void ReportCrash(int signal) {
  std::fprintf(stderr, "crashed (signal %d): %s\n", signal, current_case);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::string TextOf(const Case& run) {
  std::string text = run.op + " {";
  for (const auto& [key, value] : run.options) {
    text += (text.back() == '{' ? "" : ", ") + std::string(key) + " " + std::to_string(value);
  }
  text += "}";
  const auto append = [&](const std::vector<Tensor>& tensors) {
    for (const Tensor& tensor : tensors) {
      text += std::string(" ") + NameOf(tensor.type) + "[";
      for (std::size_t i = 0; i < tensor.dims.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(tensor.dims[i]);
      text += "]";
    }
  };
  append(run.inputs);
  text += " ->";
  append(run.outputs);
  return text;
}

using Buffer = GuardedArray<unsigned char>;

TensorInfo InfoOf(const Tensor& tensor, const Buffer* data) {
  TensorInfo info;
  info.type = tensor.type;
  info.dims = tensor.dims;
  info.scale = tensor.scale;
  info.zero_point = tensor.zero_point;
  if (tensor.constant) {
    info.constant = data->data();
    info.constant_bytes = data->size();
  }
  return info;
}

// Makes the op ready for larger images or more rows, as an interpreter does whose input is resized later. Operands
// that are tensors would have to grow too: such an op is left as it is.
void PrepareForMore(const Case& run, std::vector<TensorInfo> inputs, const std::vector<TensorInfo>& outputs,
                    const Resources& resources, Op* op) {
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].constant == nullptr || inputs[i].dims == run.outputs[0].dims) return;
  }
  Dims& dims = inputs[0].dims;
  for (std::size_t axis = 0; axis + 1 < dims.size() && axis < 3; ++axis) {
    if (axis == 0 || run.op != "BnnFullyConnected") dims[axis] += static_cast<int>(axis) + 1;
  }
  op->Prepare(inputs, outputs, resources);
}

// Where two values of an output differ, or nothing.
std::string Difference(const Tensor& expected, const Buffer& found) {
  const auto text = [](std::size_t i, auto a, auto b) {
    return "value " + std::to_string(i) + " is " + std::to_string(a) + " and not " + std::to_string(b);
  };
  if (expected.type == ElementType::kFloat32) {
    const auto* values = reinterpret_cast<const float*>(found.data());
    const std::vector<float> plain = expected.As<float>();
    for (std::size_t i = 0; i < plain.size(); ++i) {
      if (!SameFloat(values[i], plain[i])) return text(i, values[i], plain[i]);
    }
    return "";
  }
  for (std::size_t i = 0; i < expected.bytes.size(); ++i) {
    if (found[i] != expected.bytes[i]) return "byte " + text(i, int{found[i]}, int{expected.bytes[i]}).substr(6);
  }
  return "";
}

class Differential {
 public:
  explicit Differential(const Arguments& arguments) : arguments_(arguments) {
    pool_.Grow(2);
    for (int i = 0; i < KernelSetCount(); ++i) {
      if (!KernelSetSupported(i)) continue;
      kernels_.push_back(KernelSetAt(i));
      kernels_.back().steps_per_microsecond = 1;  // so that two threads share the smallest work
    }
  }

  // Returns whether all values are the same.
  bool Run() {
    for (std::uint64_t i = 0; i < arguments_.cases; ++i) {
      const std::uint64_t number = arguments_.first + i;
      std::snprintf(current_case, sizeof(current_case), "--seed %llu --first %llu --cases 1",
                    static_cast<unsigned long long>(arguments_.seed), static_cast<unsigned long long>(number));
      Random random(SeedOf(number));
      Case run = RandomCase(&random);
      RunPlain(&run);
      ++cases_[run.op];
      Compare(run, &random);
    }
    return differences_ == 0;
  }

  void PrintCounts() const {
    std::uint64_t all = 0;
    for (const auto& [op, count] : cases_) {
      std::printf("%-20s %10llu\n", op.c_str(), static_cast<unsigned long long>(count));
      all += count;
    }
    std::printf("%-20s %10llu cases, %llu runs, kernel sets", "together", static_cast<unsigned long long>(all),
                static_cast<unsigned long long>(runs_));
    for (const KernelSet& kernels : kernels_) std::printf(" %s", kernels.name);
    std::printf(": %llu differences\n", static_cast<unsigned long long>(differences_));
  }

 private:
  // Neighbouring cases have seeds that have nothing in common.
  std::uint32_t SeedOf(std::uint64_t number) const {
    std::uint64_t x = arguments_.seed * 0x9e3779b97f4a7c15u + number;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>(x ^ (x >> 31));
  }

  void Compare(const Case& run, Random* random) {
    const Edge edge = random->OneIn(4) ? Edge::kBefore : Edge::kAfter;
    std::vector<Buffer> inputs, outputs;
    for (const Tensor& tensor : run.inputs) inputs.emplace_back(tensor.bytes, edge);
    for (const Tensor& tensor : run.outputs) outputs.emplace_back(tensor.bytes.size(), edge);
    for (const KernelSet& kernels : kernels_) {
      const int threads = random->OneIn(4) ? 2 : 1;
      const bool resizes = random->OneIn(4);
      ++runs_;
      std::string difference;
      try {
        difference = RunOnce(run, inputs, {kernels, pool_, threads}, resizes, &outputs);
      } catch (const std::exception& error) {
        difference = error.what();
      }
      if (difference.empty()) continue;
      ++differences_;
      std::printf("%s: %s, %d thread(s)%s: %s: %s\n", current_case, kernels.name, threads, resizes ? ", resized" : "",
                  TextOf(run).c_str(), difference.c_str());
    }
  }

  static std::string RunOnce(const Case& run, const std::vector<Buffer>& inputs, const Resources& resources,
                             bool resizes, std::vector<Buffer>* outputs) {
    std::vector<TensorInfo> input_infos, output_infos;
    std::vector<const void*> input_data;
    std::vector<void*> output_data;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      input_infos.push_back(InfoOf(run.inputs[i], &inputs[i]));
      input_data.push_back(inputs[i].data());
    }
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      Buffer& output = (*outputs)[i];
      for (unsigned char& byte : output) byte = 0xa5;
      output_infos.push_back(InfoOf(run.outputs[i], &output));
      output_data.push_back(output.data());
    }
    const auto op = MakeOpWith(run.op.c_str(), With(run.options, {{"version", 1}}), 8);
    if (resizes) PrepareForMore(run, input_infos, output_infos, resources, op.get());
    const std::vector<Dims> dims = op->Prepare(input_infos, output_infos, resources);
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] != run.outputs[i].dims) return "output " + std::to_string(i) + " has other dimensions";
    }
    op->Run(input_data, output_data, resources);
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      const std::string difference = Difference(run.outputs[i], (*outputs)[i]);
      if (!difference.empty()) return "output " + std::to_string(i) + ": " + difference;
    }
    return "";
  }

  const Arguments arguments_;
  ThreadPool pool_;
  std::vector<KernelSet> kernels_;
  std::map<std::string, std::uint64_t> cases_;
  std::uint64_t runs_ = 0, differences_ = 0;
};

}  // namespace
}  // namespace keras_bnn

int main(int count, char** texts) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, keras_bnn::ReportCrash);
  const auto begin = std::chrono::steady_clock::now();
  keras_bnn::Differential differential(keras_bnn::ReadArguments(count, texts));
  const bool same = differential.Run();
  differential.PrintCounts();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f s\n", seconds.count());
  return same ? 0 : 1;
}
