#include "ops/checks.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "core/refusal.h"

namespace keras_bnn {

std::string ShapeText(const std::vector<int>& dims) {
  std::string text = "[";
  for (const int dim : dims) {
    char number[16];
    std::snprintf(number, sizeof(number), "%s%d", text.size() > 1 ? ", " : "", dim);
    text += number;
  }
  return text + "]";
}

std::int64_t CheckedElements(const char* what, const std::vector<int>& dims) {
  std::int64_t elements = 1;
  bool empty = false;
  for (const int dim : dims) {
    if (dim < 0) Refuse("%s has the shape %s; expected no negative dimension", what, ShapeText(dims).c_str());
    empty = empty || dim == 0;
    elements *= std::max(dim, 1);  // offsets inside an image must fit even when the batch is empty
    if (elements > std::numeric_limits<std::int32_t>::max()) {
      Refuse("%s has the shape %s; expected fewer than 2^31 elements", what, ShapeText(dims).c_str());
    }
  }
  return empty ? 0 : elements;
}

void CheckInputCount(const std::vector<TensorInfo>& inputs, int low, int high) {
  const auto count = static_cast<int>(inputs.size());
  if (count < low || count > high) {
    Refuse("the op has %d inputs; expected %d%s", count, low, low == high ? "" : " or 4");
  }
  for (const TensorInfo& input : inputs) {
    if (input.absent) Refuse("an input is left out; expected all inputs");
  }
}

void CheckOutputCount(const std::vector<TensorInfo>& outputs, int low, int high) {
  const auto count = static_cast<int>(outputs.size());
  if (count < low || count > high) {
    Refuse("the op has %d outputs; expected %d%s", count, low, low == high ? "" : " or 2");
  }
}

void CheckQuantization(const TensorInfo& x) {
  if (x.type != ElementType::kInt8 && x.type != ElementType::kUInt8) return;
  // The runtime leaves the scale 0 where a tensor has none, or one per channel.
  if (x.scale == 0.0f) {
    Refuse("the input is %s without a scale; expected one scale and zero point for the whole tensor", NameOf(x.type));
  }
  const int low = x.type == ElementType::kInt8 ? -128 : 0;
  if (x.zero_point < low || x.zero_point > low + 255) {
    Refuse("the input is %s with the zero point %d; expected %d to %d", NameOf(x.type), x.zero_point, low, low + 255);
  }
}

void CheckRank(const char* what, const TensorInfo& tensor, int rank) {
  if (tensor.rank() != rank) {
    Refuse("%s has the shape %s; expected %d dimensions", what, ShapeText(tensor.dims).c_str(), rank);
  }
}

const void* CheckedConstant(const char* what, const TensorInfo& tensor, ElementType type,
                            const std::vector<int>& dims) {
  bool same = tensor.dims.size() == dims.size();
  for (std::size_t i = 0; same && i < dims.size(); ++i) same = dims[i] < 0 || tensor.dims[i] == dims[i];
  if (tensor.type != type || !same) {
    Refuse("the %s are %s %s; expected %s %s (-1: any)", what, NameOf(tensor.type), ShapeText(tensor.dims).c_str(),
           NameOf(type), ShapeText(dims).c_str());
  }
  if (tensor.constant == nullptr) Refuse("the %s are not constant; expected them in the file", what);
  const auto bytes = static_cast<std::size_t>(CheckedElements(what, tensor.dims)) * BytesOf(type);
  if (tensor.constant_bytes != bytes) {
    Refuse("the %s hold %zu bytes; expected %zu for the shape %s", what, tensor.constant_bytes, bytes,
           ShapeText(tensor.dims).c_str());
  }
  return tensor.constant;
}

}  // namespace keras_bnn
