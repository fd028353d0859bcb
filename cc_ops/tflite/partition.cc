#include "tflite/partition.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "core/clock.h"
#include "core/refusal.h"
#include "core/subnormals.h"
#include "ops/checks.h"

namespace keras_bnn {
namespace {

constexpr std::size_t kArenaAlignment = 64;  // bytes: a cache line

ElementType TypeOf(const TfLiteTensor& tensor) {
  switch (tensor.type) {
    case kTfLiteFloat32:
      return ElementType::kFloat32;
    case kTfLiteInt32:
      return ElementType::kInt32;
    case kTfLiteUInt8:
      return ElementType::kUInt8;
    case kTfLiteInt8:
      return ElementType::kInt8;
  }
  return ElementType::kOther;
}

bool Contains(const TfLiteIntArray* array, int value) {
  return std::find(array->data, array->data + array->size, value) != array->data + array->size;
}

// The runtime takes the array over and frees it with free().
TfLiteIntArray* MakeIntArray(const std::vector<int>& values) {
  const std::size_t bytes = sizeof(int) * (values.size() + 1);
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(std::max(bytes, sizeof(TfLiteIntArray))));
  if (array == nullptr) return nullptr;
  array->size = static_cast<int>(values.size());
  std::memcpy(array->data, values.data(), values.size() * sizeof(int));
  return array;
}

}  // namespace

std::string Partition::Step::Name() const {
  return outputs.empty() ? name : name + " (output \"" + output.substr(0, 100) + "\")";
}

Partition::Step Partition::MakeStep(TfLiteContext* context, const char* name, int index, const TfLiteNode& node,
                                    std::set<int>* used) {
  Step step;
  step.name = name;
  step.node = index;
  step.inputs.assign(node.inputs->data, node.inputs->data + node.inputs->size);
  step.outputs.assign(node.outputs->data, node.outputs->data + node.outputs->size);
  used->insert(step.inputs.begin(), step.inputs.end());
  for (const int output : step.outputs) {
    // Steps are prepared for the sizes of their tensors, which a second writer would change behind them.
    if (output < 0 || !used->insert(output).second) {
      Refuse("%s: an output is left out, or read or written before; expected tensors of its own", name);
    }
    if (context->tensors[output].allocation_type == kTfLiteMmapRo) {
      Refuse("%s: an output is a constant of the file; expected a tensor to write to", name);
    }
  }
  if (!step.outputs.empty()) {
    const char* output = context->tensors[step.outputs[0]].name;
    step.output = output == nullptr ? "unnamed" : output;
  }
  step.input_data.resize(step.inputs.size());
  step.output_data.resize(step.outputs.size());
  try {
    step.op = MakeOp(name, static_cast<const std::uint8_t*>(node.custom_initial_data),
                     static_cast<std::size_t>(node.custom_initial_data_size));
  } catch (const Refusal& refusal) {
    Refuse("%s: %s", step.Name().c_str(), refusal.what());
  }
  return step;
}

Partition::Partition(TfLiteContext* context, const TfLiteDelegateParams& params, const KernelSet& kernels,
                     ThreadPool* pool, bool profile, Arena* arena)
    : kernels_(&kernels), pool_(pool), profile_(profile), arena_(arena) {
  const TfLiteIntArray& nodes = *params.nodes_to_replace;
  std::set<int> used;
  for (int i = 0; i < nodes.size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, nodes.data[i], &node, &registration) != kTfLiteOk) {
      Refuse("the runtime does not hand out node %d; expected a runtime of TFLite 2.7 or newer", nodes.data[i]);
    }
    Step step = MakeStep(context, registration->custom_name, nodes.data[i], *node, &used);
    for (const int input : step.inputs) {
      if (Inner* inner = FindInner(input)) inner->last_step = i;
    }
    for (const int output : step.outputs) {
      if (Contains(params.output_tensors, output)) continue;
      Inner inner;
      inner.first_step = inner.last_step = i;
      if (const TfLiteIntArray* dims = context->tensors[output].dims)
        inner.dims.assign(dims->data, dims->data + dims->size);
      inner_.emplace_back(output, inner);
    }
    steps_.push_back(std::move(step));
  }
  summary_ = Summarize();
}

Partition::Partition(TfLiteContext* context, const char* name, const TfLiteNode& node, const KernelSet& kernels,
                     ThreadPool* pool, Arena* arena)
    : kernels_(&kernels), pool_(pool), profile_(false), summary_(name), arena_(arena) {
  std::set<int> used;
  steps_.push_back(MakeStep(context, name, 0, node, &used));
}

std::string Partition::Summarize() const {
  std::vector<std::pair<std::string, int>> kinds;
  for (const Step& step : steps_) {
    const auto same = [&](const auto& kind) { return kind.first == step.name; };
    const auto found = std::find_if(kinds.begin(), kinds.end(), same);
    if (found == kinds.end()) {
      kinds.emplace_back(step.name, 1);
    } else {
      ++found->second;
    }
  }
  std::string text;
  for (const auto& [name, count] : kinds) {
    text += (text.empty() ? "" : "+") + name + (count == 1 ? "" : " x " + std::to_string(count));
  }
  return text;
}

KerasBnnOpProfile Partition::Profile(int op) const {
  const Step& step = steps_[op];
  return {0, step.node, step.name.c_str(), step.output.c_str(), step.nanoseconds};
}

KerasBnnMemory Partition::Memory() const {
  KerasBnnMemory memory = {};
  memory.activations = activation_bytes_;
  for (const Step& step : steps_) {
    const MemoryUse use = step.op->Memory();
    memory.scratch += use.scratch;
    memory.weights += use.weights;
  }
  return memory;
}

Partition::Inner* Partition::FindInner(int tensor) {
  for (auto& [index, inner] : inner_) {
    if (index == tensor) return &inner;
  }
  return nullptr;
}

TensorInfo Partition::Describe(const TfLiteContext* context, int index) {
  TensorInfo info;
  if (index == kTfLiteOptionalTensor) {
    info.absent = true;
    return info;
  }
  const TfLiteTensor& tensor = context->tensors[index];
  info.type = TypeOf(tensor);
  info.scale = tensor.params.scale;
  info.zero_point = tensor.params.zero_point;
  if (const Inner* inner = FindInner(index)) {
    info.dims = inner->dims;
    return info;
  }
  info.dims.assign(tensor.dims->data, tensor.dims->data + tensor.dims->size);
  if (tensor.allocation_type == kTfLiteMmapRo) {
    info.constant = tensor.data;
    info.constant_bytes = tensor.bytes;
  }
  return info;
}

void Partition::Prepare(TfLiteContext* context) {
  threads_ = pool_->Grow(std::max(context->recommended_num_threads, 1));
  const Resources resources = {*kernels_, *pool_, threads_};
  outer_.clear();
  for (Step& step : steps_) {
    std::vector<TensorInfo> inputs;
    std::vector<TensorInfo> outputs;
    for (const int input : step.inputs) {
      inputs.push_back(Describe(context, input));
      if (!inputs.back().absent && inputs.back().constant == nullptr && FindInner(input) == nullptr) {
        outer_[input] = inputs.back().dims;
      }
    }
    for (const int output : step.outputs) outputs.push_back(Describe(context, output));
    std::vector<Dims> dims;
    try {
      dims = step.op->Prepare(inputs, outputs, resources);
    } catch (const Refusal& refusal) {
      Refuse("%s: %s", step.Name().c_str(), refusal.what());
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (Inner* inner = FindInner(step.outputs[i])) {
        inner->dims = dims[i];
        continue;
      }
      TfLiteIntArray* size = MakeIntArray(dims[i]);
      if (size == nullptr || context->ResizeTensor(context, &context->tensors[step.outputs[i]], size) != kTfLiteOk) {
        Refuse("%s: the runtime could not resize output %zu", step.Name().c_str(), i);
      }
      outer_[step.outputs[i]] = dims[i];
    }
  }
  PlanArena(context);
}

// First fit, in the order of the steps: each tensor goes to the lowest place that no tensor alive at the same time
// overlaps.
void Partition::PlanArena(const TfLiteContext* context) {
  activation_bytes_ = 0;
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = 0; i < inner_.size(); ++i) {
    const auto& [index, inner] = inner_[i];
    std::uint64_t bytes = BytesOf(TypeOf(context->tensors[index]));
    for (const int dim : inner.dims) bytes *= static_cast<std::uint64_t>(dim);
    sizes.push_back(CeilDiv<std::uint64_t>(bytes, kArenaAlignment) * kArenaAlignment);

    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;  // [begin, end) of tensors alive together with this one
    for (std::size_t j = 0; j < i; ++j) {
      const Inner& earlier = inner_[j].second;
      if (earlier.last_step >= inner.first_step) taken.emplace_back(earlier.offset, earlier.offset + sizes[j]);
    }
    std::sort(taken.begin(), taken.end());
    std::uint64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + sizes[i] <= begin) break;
      offset = std::max(offset, end);
    }
    activation_bytes_ = std::max(activation_bytes_, offset + sizes[i]);
    if (activation_bytes_ > arena_->bytes.max_size() - kArenaAlignment) throw std::bad_alloc();
    inner_[i].second.offset = static_cast<std::size_t>(offset);
  }
  arena_->bytes.resize(std::max(arena_->bytes.size(), static_cast<std::size_t>(activation_bytes_) + kArenaAlignment));
}

// A node of another partition may write a tensor of this one too and have given it another size.
void Partition::CheckSizes(const TfLiteContext* context) const {
  for (const auto& [index, dims] : outer_) {
    const TfLiteIntArray* now = context->tensors[index].dims;
    if (std::equal(dims.begin(), dims.end(), now->data, now->data + now->size)) continue;
    Refuse("tensor %d has the shape %s; expected %s, as when it was prepared: let no two nodes write one tensor", index,
           ShapeText({now->data, now->data + now->size}).c_str(), ShapeText(dims).c_str());
  }
}

void Partition::Run(TfLiteContext* context) {
  CheckSizes(context);
  const KeepSubnormals keep_subnormals;
  const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(arena_->bytes.data()) % kArenaAlignment;
  unsigned char* arena = arena_->bytes.data() + (kArenaAlignment - misalignment);
  const auto data = [&](int index) -> void* {
    if (index == kTfLiteOptionalTensor) return nullptr;
    const Inner* inner = FindInner(index);
    return inner == nullptr ? context->tensors[index].data : arena + inner->offset;
  };
  const Resources resources = {*kernels_, *pool_, threads_};
  std::uint64_t begin = profile_ ? Nanoseconds() : 0;
  for (Step& step : steps_) {
    for (std::size_t i = 0; i < step.inputs.size(); ++i) step.input_data[i] = data(step.inputs[i]);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) step.output_data[i] = data(step.outputs[i]);
    step.op->Run(step.input_data, step.output_data, resources);
    if (!profile_) continue;
    const std::uint64_t end = Nanoseconds();
    step.nanoseconds = end - begin;
    begin = end;
  }
}

}  // namespace keras_bnn
