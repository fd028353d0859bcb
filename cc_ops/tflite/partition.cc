#include "tflite/partition.h"

#include <algorithm>
#include <cmath>
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

constexpr char kOneWriter[] = "let no two nodes write one tensor";

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

// Whether all is the same but the size.
bool IsOfSameKind(const TensorInfo& a, const TensorInfo& b) {
  const bool same_scale = a.scale == b.scale || (std::isnan(a.scale) && std::isnan(b.scale));
  return a.type == b.type && same_scale && a.zero_point == b.zero_point && a.constant == b.constant &&
         a.constant_bytes == b.constant_bytes;
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
  used->insert(node.inputs->data, node.inputs->data + node.inputs->size);
  for (int i = 0; i < node.inputs->size; ++i) step.inputs.push_back({node.inputs->data[i]});
  for (int i = 0; i < node.outputs->size; ++i) {
    const int output = node.outputs->data[i];
    step.outputs.push_back({output});
    // Steps are prepared for the sizes of their tensors, which a second writer would change behind them.
    if (output < 0 || !used->insert(output).second) {
      Refuse("%s: an output is left out, or read or written before; expected tensors of its own", name);
    }
    if (context->tensors[output].allocation_type == kTfLiteMmapRo) {
      Refuse("%s: an output is a constant of the file; expected a tensor to write to", name);
    }
  }
  if (!step.outputs.empty()) {
    const char* output = context->tensors[step.outputs[0].tensor].name;
    step.output = output == nullptr ? "unnamed" : output;
  }
  step.input_data.resize(step.inputs.size());
  step.output_data.resize(step.outputs.size());
  try {
    if (node.custom_initial_data_size < 0) {
      Refuse("the options have %d bytes; expected a file that is whole", node.custom_initial_data_size);
    }
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
  std::map<int, int> inner_of;  // tensors
  for (int i = 0; i < nodes.size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, nodes.data[i], &node, &registration) != kTfLiteOk) {
      Refuse("the runtime does not hand out node %d; expected a runtime of TFLite 2.7 or newer", nodes.data[i]);
    }
    Step step = MakeStep(context, registration->custom_name, nodes.data[i], *node, &used);
    for (Wire& input : step.inputs) {
      const auto found = inner_of.find(input.tensor);
      if (found == inner_of.end()) continue;
      input.inner = found->second;
      inner_[input.inner].last_step = i;
    }
    for (Wire& output : step.outputs) {
      if (Contains(params.output_tensors, output.tensor)) continue;
      output.inner = static_cast<int>(inner_.size());
      inner_of[output.tensor] = output.inner;
      Inner inner;
      inner.tensor = output.tensor;
      inner.first_step = inner.last_step = i;
      if (const TfLiteIntArray* dims = context->tensors[output.tensor].dims)
        inner.dims.assign(dims->data, dims->data + dims->size);
      inner_.push_back(inner);
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

TensorInfo Partition::Describe(const TfLiteContext* context, const Wire& wire) {
  TensorInfo info;
  if (wire.tensor == kTfLiteOptionalTensor) {
    info.absent = true;
    return info;
  }
  const TfLiteTensor& tensor = context->tensors[wire.tensor];
  info.type = TypeOf(tensor);
  info.scale = tensor.params.scale;
  info.zero_point = tensor.params.zero_point;
  if (wire.inner >= 0) {
    info.dims = inner_[wire.inner].dims;
  } else {
    info.dims.assign(tensor.dims->data, tensor.dims->data + tensor.dims->size);
    if (tensor.allocation_type == kTfLiteMmapRo) {
      info.constant = tensor.data;
      info.constant_bytes = tensor.bytes;
    }
  }
  // The ops are made for what a tensor is at first, and look at its size alone after that.
  const TensorInfo& known = known_.emplace(wire.tensor, info).first->second;
  if (!IsOfSameKind(info, known)) {
    Refuse("tensor %d is %s with scale %g and zero point %d; expected %s, %g and %d, as at first: %s", wire.tensor,
           NameOf(info.type), info.scale, info.zero_point, NameOf(known.type), known.scale, known.zero_point,
           kOneWriter);
  }
  return info;
}

void Partition::KeepAsPrepared(const Wire& wire, TensorInfo info) {
  if (!info.absent && info.constant == nullptr && wire.inner < 0) outer_[wire.tensor] = std::move(info);
}

void Partition::Prepare(TfLiteContext* context) {
  threads_ = pool_->Grow(std::max(context->recommended_num_threads, 1));
  const Resources resources = {*kernels_, *pool_, threads_};
  outer_.clear();
  for (Step& step : steps_) {
    std::vector<TensorInfo> inputs;
    std::vector<TensorInfo> outputs;
    std::vector<Dims> dims;
    try {
      for (const Wire& input : step.inputs) inputs.push_back(Describe(context, input));
      for (const Wire& output : step.outputs) outputs.push_back(Describe(context, output));
      dims = step.op->Prepare(inputs, outputs, resources);
    } catch (const Refusal& refusal) {
      Refuse("%s: %s", step.Name().c_str(), refusal.what());
    }
    for (std::size_t i = 0; i < step.inputs.size(); ++i) KeepAsPrepared(step.inputs[i], inputs[i]);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      const Wire& output = step.outputs[i];
      if (output.inner >= 0) {
        inner_[output.inner].dims = dims[i];
        continue;
      }
      TfLiteIntArray* size = MakeIntArray(dims[i]);
      if (size == nullptr || context->ResizeTensor(context, &context->tensors[output.tensor], size) != kTfLiteOk) {
        Refuse("%s: the runtime could not resize output %zu", step.Name().c_str(), i);
      }
      outputs[i].dims = dims[i];
      KeepAsPrepared(output, outputs[i]);
    }
  }
  PlanArena(context);
}

// First fit, in the order of the steps: each tensor goes to the lowest place that no tensor alive at the same time
// overlaps.
void Partition::PlanArena(const TfLiteContext* context) {
  struct Place {
    std::uint64_t begin, end;
    int last_step;
  };
  activation_bytes_ = 0;
  std::vector<Place> taken;  // by tensors alive together with the next one, the lowest first
  for (Inner& inner : inner_) {
    std::uint64_t bytes = BytesOf(TypeOf(context->tensors[inner.tensor]));
    for (const int dim : inner.dims) bytes *= static_cast<std::uint64_t>(dim);
    bytes = CeilDiv<std::uint64_t>(bytes, kArenaAlignment) * kArenaAlignment;

    const auto is_dead = [&](const Place& place) { return place.last_step < inner.first_step; };
    taken.erase(std::remove_if(taken.begin(), taken.end(), is_dead), taken.end());
    std::uint64_t offset = 0;
    auto next = taken.begin();
    for (; next != taken.end() && offset + bytes > next->begin; ++next) offset = std::max(offset, next->end);
    taken.insert(next, {offset, offset + bytes, inner.last_step});
    activation_bytes_ = std::max(activation_bytes_, offset + bytes);
    if (activation_bytes_ > arena_->bytes.max_size() - kArenaAlignment) throw std::bad_alloc();
    inner.offset = static_cast<std::size_t>(offset);
  }
  arena_->bytes.resize(std::max(arena_->bytes.size(), static_cast<std::size_t>(activation_bytes_) + kArenaAlignment));
}

// What else writes a tensor of this partition may have changed it since.
void Partition::CheckTensors(const TfLiteContext* context) const {
  for (const auto& [index, prepared] : outer_) {
    const TfLiteTensor& tensor = context->tensors[index];
    const int* dims = tensor.dims->data;
    const int* dims_end = dims + tensor.dims->size;
    std::uint64_t bytes = BytesOf(prepared.type);
    for (const int dim : prepared.dims) bytes *= static_cast<std::uint64_t>(dim);
    const bool has_dims = std::equal(dims, dims_end, prepared.dims.begin(), prepared.dims.end());
    if (!has_dims || TypeOf(tensor) != prepared.type || tensor.bytes < bytes) {
      Refuse("tensor %d is %s %s of %zu bytes; expected %s %s, as it was prepared: %s", index, NameOf(TypeOf(tensor)),
             ShapeText({dims, dims_end}).c_str(), tensor.bytes, NameOf(prepared.type), ShapeText(prepared.dims).c_str(),
             kOneWriter);
    }
    if (bytes == 0) continue;
    if (tensor.data == nullptr) Refuse("tensor %d has no memory; expected some: %s", index, kOneWriter);
    if (reinterpret_cast<std::uintptr_t>(tensor.data) % BytesOf(prepared.type) != 0) {
      Refuse("tensor %d lies at an address that is no multiple of %d; expected aligned memory", index,
             BytesOf(prepared.type));
    }
  }
}

void Partition::Run(TfLiteContext* context) {
  CheckTensors(context);
  const KeepSubnormals keep_subnormals;
  const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(arena_->bytes.data()) % kArenaAlignment;
  unsigned char* arena = arena_->bytes.data() + (kArenaAlignment - misalignment);
  const auto data = [&](const Wire& wire) -> void* {
    if (wire.inner >= 0) return arena + inner_[wire.inner].offset;
    return wire.tensor == kTfLiteOptionalTensor ? nullptr : context->tensors[wire.tensor].data;
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
