#include "support/tflite_host.h"

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace keras_bnn {
namespace {

constexpr auto kArenaAllocated = static_cast<TfLiteAllocationType>(2);
constexpr auto kDynamic = static_cast<TfLiteAllocationType>(4);

bool Contains(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

std::vector<int> AsIntArray(const std::vector<int>& values) {
  std::vector<int> array = {static_cast<int>(values.size())};
  array.insert(array.end(), values.begin(), values.end());
  return array;
}

thread_local bool in_delegate = false;

// A call from the host to the delegate, or back.
class Call {
 public:
  explicit Call(bool to_delegate) : before_(in_delegate) { in_delegate = to_delegate; }
  ~Call() { in_delegate = before_; }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  bool before_;
};

template <typename Function, typename... Arguments>
auto CallDelegate(const Function& function, const Arguments&... arguments) {
  const Call call(true);
  return function(arguments...);
}

// The most there are where the product fits no size_t, as that of a negative dimension.
std::size_t BytesOf(TfLiteType type, const std::vector<int>& dims) {
  std::size_t bytes = type == kTfLiteFloat32 || type == kTfLiteInt32 ? 4 : 1;
  for (const int dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes)) return ~std::size_t{0};
  }
  return bytes;
}

TfLiteIntArray* IntArray(std::vector<int>* array) { return reinterpret_cast<TfLiteIntArray*>(array->data()); }

}  // namespace

struct TfLiteHost::Node {
  TfLiteNode node = {};
  TfLiteRegistration registration = {};
  std::vector<int> inputs, outputs;  // laid out as TfLiteIntArrays
  std::vector<std::uint8_t> options;
  int options_size = 0;
  std::string name;
  bool is_kernel = false;  // of a delegate

  // Points the C structs at this object's data, wherever it lives now.
  void Link() {
    node.inputs = IntArray(&inputs);
    node.outputs = IntArray(&outputs);
    if (is_kernel) return;
    node.custom_initial_data = options.data();
    node.custom_initial_data_size = options_size;
    registration.custom_name = name.empty() ? nullptr : name.c_str();
  }
};

bool TfLiteHost::IsInDelegate() { return in_delegate; }

TfLiteHost::TfLiteHost() {
  context_.impl_ = this;
  context_.GetExecutionPlan = GetExecutionPlan;
  context_.ResizeTensor = ResizeTensor;
  context_.ReportError = ReportError;
  context_.GetNodeAndRegistration = GetNodeAndRegistration;
  context_.ReplaceNodeSubsetsWithDelegateKernels = Replace;
  context_.recommended_num_threads = -1;  // as when a user sets none
}

TfLiteHost::~TfLiteHost() {
  for (Node& node : nodes_) {
    if (node.registration.free != nullptr) CallDelegate(node.registration.free, &context_, node.node.user_data);
  }
}

int TfLiteHost::AddTensor(const char* name, TfLiteType type, const std::vector<int>& dims) {
  TfLiteTensor tensor = {};  // NOLINT(bugprone-invalid-enum-default-initialization): both enums are set below
  tensor.type = type;
  tensor.allocation_type = kArenaAllocated;
  tensor.bytes = BytesOf(type, dims);
  tensors_.push_back(tensor);
  dims_.push_back(AsIntArray(dims));
  data_.emplace_back();
  names_.emplace_back(name);
  return static_cast<int>(tensors_.size()) - 1;
}

int TfLiteHost::AddConstantBytes(const char* name, TfLiteType type, const std::vector<int>& dims, const void* data,
                                 std::size_t bytes) {
  const int tensor = AddTensor(name, type, dims);
  data_[tensor] = std::make_unique<GuardedArray<unsigned char>>(bytes, Edge::kAfter);
  if (bytes > 0) std::memcpy(data_[tensor]->data(), data, bytes);
  tensors_[tensor].data = data_[tensor]->data();
  tensors_[tensor].bytes = bytes;
  tensors_[tensor].allocation_type = kTfLiteMmapRo;
  return tensor;
}

void TfLiteHost::SetQuantization(int tensor, float scale, std::int32_t zero_point) {
  tensors_[tensor].params = {scale, zero_point};
}

void TfLiteHost::AddNode(const char* custom_name, const std::vector<int>& inputs, const std::vector<int>& outputs,
                         const std::vector<std::uint8_t>& options) {
  Node node;
  node.name = custom_name;
  node.inputs = AsIntArray(inputs);
  node.outputs = AsIntArray(outputs);
  node.options = options;
  node.options_size = static_cast<int>(options.size());
  plan_.push_back(static_cast<int>(nodes_.size()));
  nodes_.push_back(std::move(node));
}

void TfLiteHost::AddCopyNode(int from, int to) {
  AddNode("", {from}, {to}, {});
  nodes_.back().registration.prepare = [](TfLiteContext* context, TfLiteNode* node) {
    const Call call(false);  // the copy is the host's own
    TfLiteHost* host = From(context);
    host->SetDims(node->outputs->data[0], host->Dims(node->inputs->data[0]));
    return kTfLiteOk;
  };
  nodes_.back().registration.invoke = [](TfLiteContext* context, TfLiteNode* node) {
    const TfLiteTensor& source = context->tensors[node->inputs->data[0]];
    const TfLiteTensor& target = context->tensors[node->outputs->data[0]];
    if (source.bytes != target.bytes) return kTfLiteError;
    if (source.bytes == 0) return kTfLiteOk;
    if (target.data == nullptr) return kTfLiteError;
    std::memcpy(target.data, source.data, source.bytes);
    return kTfLiteOk;
  };
}

void TfLiteHost::AddChangingNode(int from, int to, Change change) {
  AddNode("", {from}, {to}, {});
  nodes_.back().node.user_data = reinterpret_cast<void*>(static_cast<std::uintptr_t>(change));
  nodes_.back().registration.prepare = [](TfLiteContext* context, TfLiteNode* node) {
    const Call call(false);
    TfLiteHost* host = From(context);
    const int index = node->outputs->data[0];
    TfLiteTensor& output = host->tensors_[index];
    if (output.allocation_type == kTfLiteMmapRo) return kTfLiteError;
    switch (static_cast<Change>(reinterpret_cast<std::uintptr_t>(node->user_data))) {
      case Change::kFloat32:
        output.type = kTfLiteFloat32;
        break;
      case Change::kInt8:
        output.type = kTfLiteInt8;
        break;
      case Change::kScale:
        output.params.scale += 1.0f;
        break;
      case Change::kNoMemory:
        output.allocation_type = kDynamic;
        break;
    }
    host->SetDims(index, host->Dims(index));
    return kTfLiteOk;
  };
  nodes_.back().registration.invoke = [](TfLiteContext*, TfLiteNode*) { return kTfLiteOk; };
}

void TfLiteHost::SetInputsAndOutputs(const std::vector<int>& inputs, const std::vector<int>& outputs) {
  inputs_ = inputs;
  outputs_ = outputs;
}

void TfLiteHost::SetThreads(int threads) { context_.recommended_num_threads = threads; }

void TfLiteHost::AddCustomOp(const char* name, const TfLiteRegistration& registration) {
  for (Node& node : nodes_) {
    if (node.name != name) continue;
    node.registration = registration;
    const auto* options = reinterpret_cast<const char*>(node.options.data());
    node.node.user_data = registration.init(&context_, options, node.options.size());
  }
}

// Copies the tables to new places and the old ones are freed: addresses that a delegate kept become invalid.
void TfLiteHost::MoveTables() {
  tensors_ = std::vector<TfLiteTensor>(tensors_);
  nodes_ = std::vector<Node>(nodes_);
  std::vector<unsigned char> table;
  for (Node& node : nodes_) {
    node.Link();
    const auto* bytes = reinterpret_cast<const unsigned char*>(&node.node);
    table.insert(table.end(), bytes, bytes + sizeof(TfLiteNode));
    bytes = reinterpret_cast<const unsigned char*>(&node.registration);
    table.insert(table.end(), bytes, bytes + registration_bytes_);
  }
  node_table_ = std::move(table);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].dims = IntArray(&dims_[i]);
    tensors_[i].name = names_[i].c_str();
  }
  context_.tensors = tensors_.data();
  context_.tensors_size = tensors_.size();
}

TfLiteStatus TfLiteHost::Apply(TfLiteDelegate* delegate) {
  applying_ = true;
  MoveTables();
  const TfLiteStatus status = CallDelegate(delegate->Prepare, &context_, delegate);
  applying_ = false;
  return status;
}

TfLiteStatus TfLiteHost::GetExecutionPlan(TfLiteContext* context, TfLiteIntArray** plan) {
  const Call call(false);
  TfLiteHost* host = From(context);
  host->handed_plan_ = AsIntArray(host->plan_);
  *plan = IntArray(&host->handed_plan_);
  return kTfLiteOk;
}

TfLiteStatus TfLiteHost::GetNodeAndRegistration(TfLiteContext* context, int index, TfLiteNode** node,
                                                TfLiteRegistration** registration) {
  const Call call(false);
  TfLiteHost* host = From(context);
  if (!host->applying_ || index < 0 || index >= static_cast<int>(host->nodes_.size())) return kTfLiteError;
  unsigned char* pair = host->node_table_.data() + index * (sizeof(TfLiteNode) + host->registration_bytes_);
  *node = reinterpret_cast<TfLiteNode*>(pair);
  *registration = reinterpret_cast<TfLiteRegistration*>(pair + sizeof(TfLiteNode));
  return kTfLiteOk;
}

void TfLiteHost::ReportError(TfLiteContext* context, const char* format, ...) {
  const Call call(false);
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  From(context)->reports_ += text;
}

TfLiteStatus TfLiteHost::ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* size) {
  const Call call(false);
  TfLiteHost* host = From(context);
  const auto index = static_cast<int>(tensor - host->tensors_.data());
  host->resized_.push_back(index);
  const std::vector<int> dims(size->data, size->data + size->size);
  const bool constant = tensor->allocation_type == kTfLiteMmapRo;
  const bool fails = host->resizes_fail_ || (constant && dims != host->Dims(index));  // as the runtimes do
  if (!fails && !constant) host->SetDims(index, dims);
  std::free(size);
  return fails ? kTfLiteError : kTfLiteOk;
}

void TfLiteHost::SetDims(int tensor, const std::vector<int>& dims) {
  dims_[tensor] = AsIntArray(dims);
  tensors_[tensor].dims = IntArray(&dims_[tensor]);
  tensors_[tensor].bytes = BytesOf(tensors_[tensor].type, dims);
  tensors_[tensor].data = nullptr;  // until tensors are allocated again
  data_[tensor].reset();
}

// Replaces each run of neighbours in the plan that are all in `nodes` by a kernel of the delegate.
TfLiteStatus TfLiteHost::Replace(TfLiteContext* context, TfLiteRegistration registration, const TfLiteIntArray* nodes,
                                 TfLiteDelegate* delegate) {
  const Call call(false);
  TfLiteHost* host = From(context);
  const std::vector<int> claimed(nodes->data, nodes->data + nodes->size);
  const std::vector<int> old_plan = host->plan_;
  host->plan_.clear();
  host->handed_plan_.assign(host->handed_plan_.size(), -1);
  std::vector<int> run;
  for (const int node : old_plan) {
    if (Contains(claimed, node)) {
      run.push_back(node);
      continue;
    }
    host->ReplaceRun(run, registration, delegate);
    run.clear();
    host->plan_.push_back(node);
  }
  host->ReplaceRun(run, registration, delegate);
  return kTfLiteOk;
}

bool TfLiteHost::IsReadOutside(int tensor, const std::vector<int>& nodes) const {
  if (Contains(outputs_, tensor)) return true;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::vector<int>& inputs = nodes_[i].inputs;
    const bool reads = std::find(inputs.begin() + 1, inputs.end(), tensor) != inputs.end();
    if (reads && !nodes_[i].is_kernel && !Contains(nodes, static_cast<int>(i))) return true;
  }
  return false;
}

void TfLiteHost::ReplaceRun(const std::vector<int>& nodes, const TfLiteRegistration& registration,
                            TfLiteDelegate* delegate) {
  if (nodes.empty()) return;
  std::vector<int> written, read, kept;
  for (const int node : nodes) {
    const Node& original = nodes_[node];
    for (std::size_t i = 1; i < original.inputs.size(); ++i) {
      const int input = original.inputs[i];
      if (input == kTfLiteOptionalTensor) continue;
      if (!Contains(written, input) && !Contains(read, input)) read.push_back(input);
    }
    std::copy_if(original.outputs.begin() + 1, original.outputs.end(), std::back_inserter(written),
                 [](int output) { return output != kTfLiteOptionalTensor; });
  }
  for (const int tensor : written) {
    if (IsReadOutside(tensor, nodes)) kept.push_back(tensor);
  }
  std::sort(read.begin(), read.end());  // as the runtimes do
  Node kernel;
  kernel.is_kernel = true;
  kernel.registration = registration;
  kernel.inputs = AsIntArray(read);
  kernel.outputs = AsIntArray(kept);
  kernel.node.delegate = delegate;
  plan_.push_back(static_cast<int>(nodes_.size()));
  nodes_.push_back(std::move(kernel));
  MoveTables();

  std::vector<int> replaced = AsIntArray(nodes);
  std::vector<int> inputs = AsIntArray(read);
  std::vector<int> outputs = AsIntArray(kept);
  const TfLiteDelegateParams params = {delegate, IntArray(&replaced), IntArray(&inputs), IntArray(&outputs)};
  const auto* buffer = reinterpret_cast<const char*>(&params);
  void* const user_data = CallDelegate(registration.init, &context_, buffer, sizeof(params));
  nodes_.back().node.user_data = user_data;
}

TfLiteStatus TfLiteHost::ResizeInput(int tensor, const std::vector<int>& dims) {
  if (!Contains(inputs_, tensor)) return kTfLiteError;
  SetDims(tensor, dims);
  allocated_ = false;
  return kTfLiteOk;
}

TfLiteStatus TfLiteHost::AllocateTensors() {
  allocated_ = false;
  MoveTables();
  for (const int index : plan_) {
    Node& node = nodes_[index];
    if (node.registration.prepare == nullptr) continue;
    if (CallDelegate(node.registration.prepare, &context_, &node.node) != kTfLiteOk) return kTfLiteError;
  }
  MoveTables();
  std::vector<int> visible = inputs_;
  for (const int index : plan_) {
    const Node& node = nodes_[index];
    visible.insert(visible.end(), node.inputs.begin() + 1, node.inputs.end());
    visible.insert(visible.end(), node.outputs.begin() + 1, node.outputs.end());
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    TfLiteTensor& tensor = tensors_[i];
    if (tensor.allocation_type != kArenaAllocated || !Contains(visible, static_cast<int>(i))) continue;
    if (tensor.bytes > most_tensor_bytes_) return kTfLiteError;
    data_[i] = std::make_unique<GuardedArray<unsigned char>>(tensor.bytes, Edge::kAfter);
    std::fill(data_[i]->begin(), data_[i]->end(), static_cast<unsigned char>(0xa5));
    tensor.data = data_[i]->data();
  }
  allocated_ = true;
  return kTfLiteOk;
}

TfLiteStatus TfLiteHost::Invoke() {
  if (!allocated_) return kTfLiteError;
  for (const int index : plan_) {
    Node& node = nodes_[index];
    if (node.registration.invoke == nullptr) return kTfLiteError;  // an op that nobody can run
    for (auto input = node.inputs.begin() + 1; input != node.inputs.end(); ++input) {
      if (*input >= 0 && tensors_[*input].bytes > 0 && tensors_[*input].data == nullptr) return kTfLiteError;
    }
    if (CallDelegate(node.registration.invoke, &context_, &node.node) != kTfLiteOk) return kTfLiteError;
  }
  return kTfLiteOk;
}

void TfLiteHost::SetLastOptionsSize(int bytes) { nodes_.back().options_size = bytes; }

void TfLiteHost::MisalignData(int tensor) { tensors_[tensor].data = data_[tensor]->data() + 1; }

void TfLiteHost::WriteBytes(int tensor, const void* data, std::size_t bytes) {
  if (bytes != TensorBytes(tensor)) std::abort();
  if (bytes > 0) std::memcpy(tensors_[tensor].data, data, bytes);
}

void TfLiteHost::ReadBytes(int tensor, void* data, std::size_t bytes) const {
  if (bytes > 0) std::memcpy(data, tensors_[tensor].data, bytes);
}

std::size_t TfLiteHost::TensorBytes(int tensor) const { return tensors_[tensor].bytes; }

std::vector<int> TfLiteHost::Dims(int tensor) const {
  const std::vector<int>& array = dims_[tensor];
  return {array.begin() + 1, array.end()};
}

bool TfLiteHost::HasData(int tensor) const { return tensors_[tensor].data != nullptr; }

int TfLiteHost::PartitionCount() const {
  int count = 0;
  for (const int index : plan_) count += nodes_[index].is_kernel ? 1 : 0;
  return count;
}

std::vector<std::string> TfLiteHost::ProfilingStrings() const {
  std::vector<std::string> texts;
  for (const int index : plan_) {
    const Node& node = nodes_[index];
    if (!node.is_kernel) continue;
    const char* text = node.registration.profiling_string(&context_, &node.node);
    texts.emplace_back(text == nullptr ? "" : text);
  }
  return texts;
}

}  // namespace keras_bnn
