// A delegate in a runtime that has a graph of our ops and others: claimed, sized, run, resized and freed in some order.
// What a graph computes must be the same where every tensor is the runtime's as where partitions have their own.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/memory_limit.h"
#include "fuzz/op_case.h"
#include "fuzz/op_names.h"
#include "fuzz/runtime.h"
#include "keras_bnn/keras_bnn.h"
#include "support/tflite_host.h"

namespace keras_bnn {
namespace {

constexpr std::size_t kMostTensorBytes = std::size_t{1} << 16;
constexpr std::uint64_t kMostActivationBytes = 1 << 16;
constexpr std::int64_t kMostWork = 1 << 18;  // of an op: output pixels times values of x and constants

enum class NodeKind { kOurs, kCopy, kForeign, kChanging };

struct Node {
  NodeKind kind;
  std::string name;
  std::vector<std::uint8_t> options;
  std::vector<int> inputs, outputs;
  TfLiteHost::Change change = TfLiteHost::Change::kInt8;  // of kChanging
};

struct Graph {
  std::vector<TensorCase> tensors;
  std::vector<Node> nodes;
  std::vector<int> inputs, outputs;

  int Add(const TensorCase& tensor) {
    if (tensor.absent) return kTfLiteOptionalTensor;
    tensors.push_back(tensor);
    return static_cast<int>(tensors.size()) - 1;
  }
};

std::int64_t Elements(const std::vector<int>& dims) {
  return static_cast<std::int64_t>(BytesOf(kTfLiteInt8, dims, std::size_t{1} << 30));
}

bool IsSmall(const OpCase& op) {
  std::int64_t values = 0;
  for (const TensorCase& input : op.inputs) values += input.constant ? Elements(input.dims) : 0;
  values += Elements(op.inputs[0].dims);
  for (const TensorCase& output : op.outputs) {
    const int last = output.dims.empty() ? 1 : output.dims.back();
    if (last < 1 || Elements(output.dims) / last * values > kMostWork) return false;
  }
  return true;
}

// An op that reads this type, mostly.
std::string NameFor(TfLiteType type, Input* input) {
  constexpr const char* kOfBits[] = {"BnnConv2D",     "BnnDepthwiseConv2D", "BnnTransposeConv2D", "BnnMaxPool2D",
                                     "BnnDequantize", "BnnFullyConnected",  "LceBconv2d",         "LceDequantize"};
  constexpr const char* kOfValues[] = {"BnnQuantize", "BnnConv2D", "BnnFullyConnected", "LceQuantize"};
  if (input->OneIn(16)) return kOpNames[input->Choice(kOpNameCount)];
  if (type == kTfLiteInt32) return kOfBits[input->Choice(8)];
  return kOfValues[input->Choice(4)];
}

void AddOurs(Graph* graph, int x, Input* input) {
  const std::string name = NameFor(graph->tensors[x].type, input);
  OpCase op = MakeOpCase(name, graph->tensors[x], input);
  if (!IsSmall(op)) return;
  const bool spoiled = input->OneIn(16);
  if (spoiled) Spoil(&op, input);
  Node node = {NodeKind::kOurs, name, OptionBytes(op, input), {}, {}};
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const TensorCase& wanted = op.inputs[i];
    int index = i == 0 ? x : -1;
    // An operand is a tensor that exists already, if one fits.
    for (int t = 0; i > 0 && !wanted.constant && t < static_cast<int>(graph->tensors.size()); ++t) {
      const TensorCase& tensor = graph->tensors[t];
      if (!tensor.constant && tensor.type == wanted.type && tensor.dims == wanted.dims) index = t;
    }
    if (index < 0) {
      index = graph->Add(wanted);
      if (index >= 0 && !wanted.constant) graph->inputs.push_back(index);
    }
    node.inputs.push_back(index);
  }
  for (const TensorCase& output : op.outputs) node.outputs.push_back(graph->Add(output));
  if (input->OneIn(16)) {  // wires that cross
    auto& wires = input->OneIn(2) ? node.outputs : node.inputs;
    if (!wires.empty()) {
      wires[input->Choice(static_cast<int>(wires.size()))] =
          input->Choice(static_cast<int>(graph->tensors.size()) + 1) - 1;
    }
  }
  graph->nodes.push_back(std::move(node));
}

Graph MakeGraph(Input* input) {
  Graph graph;
  graph.inputs.push_back(graph.Add(MakeX(kOpNames[input->Choice(kOpNameCount)], input)));
  int last = 0;
  const int nodes = 1 + input->Choice(8);
  for (int i = 0; i < nodes; ++i) {
    const int x = input->OneIn(4) ? input->Choice(static_cast<int>(graph.tensors.size())) : last;
    const int kind = input->Choice(8);
    if (kind < 6) {
      AddOurs(&graph, x, input);
    } else {
      TensorCase copy = graph.tensors[x];
      copy.constant = false;
      Node node = {kind == 6 ? NodeKind::kCopy : NodeKind::kForeign, "Foreign", {}, {x}, {graph.Add(copy)}};
      graph.nodes.push_back(std::move(node));
    }
    if (input->OneIn(16)) {  // what an op may do to a tensor of others
      Node change = {NodeKind::kChanging, "Changing", {}, {last}, {x}};
      change.change = static_cast<TfLiteHost::Change>(input->Choice(4));
      graph.nodes.push_back(std::move(change));
      continue;
    }
    if (!graph.nodes.empty() && !graph.nodes.back().outputs.empty() && graph.nodes.back().outputs[0] >= 0) {
      last = graph.nodes.back().outputs[input->OneIn(4) ? graph.nodes.back().outputs.size() - 1 : 0];
      last = std::max(last, 0);
    }
  }
  graph.outputs.push_back(last);
  while (input->OneIn(4)) graph.outputs.push_back(input->Choice(static_cast<int>(graph.tensors.size())));
  return graph;
}

// `outputs` are those that the runtime keeps.
std::unique_ptr<TfLiteHost> MakeHost(const Graph& graph, const std::vector<int>& outputs) {
  auto host = std::make_unique<TfLiteHost>();
  for (const TensorCase& tensor : graph.tensors) {
    const int index = tensor.constant ? host->AddConstantBytes("constant", tensor.type, tensor.dims, tensor.data.data(),
                                                               tensor.data.size())
                                      : host->AddTensor("tensor", tensor.type, tensor.dims);
    host->SetQuantization(index, tensor.scale, tensor.zero_point);
  }
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::kCopy) {
      host->AddCopyNode(node.inputs[0], node.outputs[0]);
    } else if (node.kind == NodeKind::kChanging) {
      host->AddChangingNode(node.inputs[0], node.outputs[0], node.change);
    } else {
      host->AddNode(node.name.c_str(), node.inputs, node.outputs, node.options);
    }
  }
  host->SetInputsAndOutputs(graph.inputs, outputs);
  host->SetMostTensorBytes(kMostTensorBytes);
  return host;
}

// A model is worth running only if the tensors between its ops are small too.
bool HasSmallActivations(TfLiteDelegate* delegate) {
  std::vector<KerasBnnMemory> partitions(KerasBnnGetMemory(delegate, nullptr, 0));
  KerasBnnGetMemory(delegate, partitions.data(), static_cast<int>(partitions.size()));
  return std::all_of(partitions.begin(), partitions.end(),
                     [](const KerasBnnMemory& memory) { return memory.activations <= kMostActivationBytes; });
}

bool Run(const Graph& graph, TfLiteHost* host, TfLiteDelegate* delegate, std::uint32_t seed) {
  if (host->AllocateTensors() != kTfLiteOk || !HasSmallActivations(delegate)) return false;
  for (const int input : graph.inputs) {
    const TensorCase& tensor = graph.tensors[input];
    if (tensor.constant || !host->HasData(input)) continue;
    const std::size_t bytes = host->TensorBytes(input);
    const std::vector<std::uint8_t> values = Values(tensor.type, bytes, seed, 0);
    host->WriteBytes(input, values.data(), bytes);
  }
  return host->Invoke() == kTfLiteOk;
}

void ReadProfile(TfLiteDelegate* delegate) {
  std::vector<KerasBnnOpProfile> ops(KerasBnnGetProfile(delegate, nullptr, 0));
  KerasBnnGetProfile(delegate, ops.data(), static_cast<int>(ops.size()));
  std::size_t length = 0;
  for (const KerasBnnOpProfile& op : ops) length += std::strlen(op.name) + std::strlen(op.output);
  if (length > (std::size_t{1} << 20)) std::abort();
}

void ExpectSame(const Graph& graph, const TfLiteHost& a, const TfLiteHost& b) {
  for (const int output : graph.outputs) {
    const TensorCase& tensor = graph.tensors[output];
    if (tensor.constant || !a.HasData(output) || !b.HasData(output)) continue;
    if (a.Dims(output) == b.Dims(output) &&
        SameData(tensor.type, a.Read<std::uint8_t>(output), b.Read<std::uint8_t>(output))) {
      continue;
    }
    std::fprintf(stderr, "tensor %d differs between one partition and many\n", output);
    std::abort();
  }
}

// What may happen to interpreters and their delegate after the first run, one call at a time.
class Calls {
 public:
  Calls(const Graph& graph, DelegatePointer delegate, std::uint32_t seed)
      : graph_(graph), delegate_(std::move(delegate)), seed_(seed) {}

  TfLiteHost* AddHost() {
    hosts_.push_back(MakeHost(graph_, graph_.outputs));
    return hosts_.back().get();
  }

  void Make(Input* input) {
    const int call = input->Choice(8);
    if (hosts_.empty() || call == 0) {
      if (delegate_ != nullptr && hosts_.size() < 3) AddHost()->Apply(delegate_.get());
      return;
    }
    const int index = input->Choice(static_cast<int>(hosts_.size()));
    TfLiteHost* host = hosts_[index].get();
    switch (call) {
      case 1:
        delegate_.reset();
        break;
      case 2:
        hosts_.erase(hosts_.begin() + index);
        break;
      case 3: {
        std::vector<int> dims = graph_.tensors[graph_.inputs[0]].dims;
        for (int& dim : dims) dim = input->OneIn(4) ? input->Choice(12) : dim;
        host->ResizeInput(graph_.inputs[0], dims);
        break;
      }
      case 4:
        host->SetThreads(input->Choice(3));
        break;
      case 5:
        host->FailResizes();
        break;
      case 6:
        host->ProfilingStrings();
        if (delegate_ != nullptr) ReadProfile(delegate_.get());
        break;
      default:
        if (delegate_ == nullptr) {
          host->AllocateTensors();
        } else {
          Run(graph_, host, delegate_.get(), seed_);
        }
    }
  }

 private:
  const Graph& graph_;
  DelegatePointer delegate_;
  const std::uint32_t seed_;
  std::vector<std::unique_ptr<TfLiteHost>> hosts_;
};

void RunCase(Input* input) {
  const std::vector<int> kernel_sets = SupportedKernelSets();
  const int kernel_set = kernel_sets[input->Choice(static_cast<int>(kernel_sets.size()))];
  const bool profile = input->OneIn(4);
  const std::uint32_t seed = input->Byte();
  const int threads = input->OneIn(64) ? 2 : 1;
  const Graph graph = MakeGraph(input);
  DelegatePointer delegate = MakeDelegate(kernel_set, profile);
  TfLiteDelegate* const base = delegate.get();
  Calls calls(graph, std::move(delegate), seed);
  TfLiteHost* host = calls.AddHost();
  host->SetThreads(threads);
  if (host->Apply(base) == kTfLiteOk && Run(graph, host, base, seed)) {
    std::vector<int> all(graph.tensors.size());
    std::iota(all.begin(), all.end(), 0);
    const DelegatePointer other = MakeDelegate(kernel_set, false);
    const auto other_host = MakeHost(graph, all);
    if (other_host->Apply(other.get()) == kTfLiteOk && Run(graph, other_host.get(), other.get(), seed)) {
      ExpectSame(graph, *host, *other_host);
    }
  }
  for (int count = input->Choice(12); count > 0; --count) calls.Make(input);
}

}  // namespace
}  // namespace keras_bnn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const keras_bnn::MemoryLimit memory_limit;
  keras_bnn::Input input(data, size);
  keras_bnn::RunCase(&input);
  return 0;
}
