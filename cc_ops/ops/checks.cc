#include "ops/checks.h"

#include <bitset>
#include <cstdio>

#include "core/element_count.h"
#include "core/layout.h"
#include "core/refusal.h"

namespace keras_bnn {
namespace {

void CheckCount(const char* what, const std::vector<TensorInfo>& tensors, int expected, int or_expected) {
  const auto count = static_cast<int>(tensors.size());
  if (count == expected || count == or_expected) return;
  if (expected == or_expected) Refuse("the op has %d %s; expected %d", count, what, expected);
  Refuse("the op has %d %s; expected %d or %d", count, what, expected, or_expected);
}

// Refuses a constant with more or fewer bytes than its shape says, or at an address that its elements cannot have.
// `holds` and `lies` begin the sentences.
void CheckData(const char* holds, const char* lies, const TensorInfo& constant) {
  std::int64_t bytes = BytesOf(constant.type);
  for (const int dim : constant.dims) bytes *= dim;
  if (constant.constant_bytes != static_cast<std::uint64_t>(bytes)) {
    Refuse("%s %zu bytes; expected %lld for the shape %s", holds, constant.constant_bytes,
           static_cast<long long>(bytes), ShapeText(constant.dims).c_str());
  }
  if (reinterpret_cast<std::uintptr_t>(constant.constant) % BytesOf(constant.type) != 0) {
    Refuse("%s at an address that is no multiple of %d; expected the model in aligned memory", lies,
           BytesOf(constant.type));
  }
}

}  // namespace

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
  for (const int dim : dims) {
    if (dim < 0) Refuse("%s has the shape %s; expected no negative dimension", what, ShapeText(dims).c_str());
  }
  if (!ProductFits(dims, kMostElements)) {
    Refuse("%s has the shape %s; expected fewer than 2^31 elements", what, ShapeText(dims).c_str());
  }
  std::int64_t elements = 1;
  for (const int dim : dims) elements *= dim;
  return elements;
}

std::int64_t CheckedElements(const TensorInfo& x) {
  const std::int64_t elements = CheckedElements("the input", x.dims);
  if (x.constant != nullptr) CheckData("the input holds", "the input lies", x);
  return elements;
}

void CheckInputCount(const std::vector<TensorInfo>& inputs, int expected, int or_expected) {
  CheckCount("inputs", inputs, expected, or_expected);
  for (const TensorInfo& input : inputs) {
    if (input.absent) Refuse("an input is left out; expected all inputs");
  }
}

void CheckOutputCount(const std::vector<TensorInfo>& outputs, int expected, int or_expected) {
  CheckCount("outputs", outputs, expected, or_expected);
}

void CheckQuantization(const char* what, const TensorInfo& tensor) {
  if (tensor.type != ElementType::kInt8 && tensor.type != ElementType::kUInt8) return;
  // The runtime leaves the scale 0 where a tensor has none, or one per channel.
  if (tensor.scale == 0.0f) {
    Refuse("%s is %s without a scale; expected one scale and zero point for the whole tensor", what,
           NameOf(tensor.type));
  }
  const int low = tensor.type == ElementType::kInt8 ? -128 : 0;
  if (tensor.zero_point < low || tensor.zero_point > low + 255) {
    Refuse("%s is %s with the zero point %d; expected %d to %d", what, NameOf(tensor.type), tensor.zero_point, low,
           low + 255);
  }
}

void CheckPackedImage(const TensorInfo& x, int channels) {
  if (x.type != ElementType::kInt32) Refuse("the input is %s; expected int32 words", NameOf(x.type));
  CheckRank("the input", x, 4);
  CheckedElements(x);
  if (x.dims[3] != WordsFor(channels)) {
    Refuse("the input has the shape %s; expected %d words last, for channels_in %d", ShapeText(x.dims).c_str(),
           WordsFor(channels), channels);
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
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0 && tensor.dims[i] < 1) {
      Refuse("the %s have the shape %s; expected no dimension of 0", what, ShapeText(tensor.dims).c_str());
    }
  }
  if (tensor.constant == nullptr) Refuse("the %s are not constant; expected them in the file", what);
  CheckedElements(what, tensor.dims);
  const std::string name = std::string("the ") + what;
  CheckData((name + " hold").c_str(), (name + " lie").c_str(), tensor);
  return tensor.constant;
}

void CheckUnusedBits(const TensorInfo& weights, int channels) {
  if (channels % kWordBits == 0) return;
  const auto* words = static_cast<const Word*>(weights.constant);
  const std::size_t count = weights.constant_bytes / sizeof(Word);
  const std::size_t row = WordsFor(channels);
  for (std::size_t i = row - 1; i < count; i += row) {
    if (words[i] >> (channels % kWordBits) != 0) {
      Refuse("the weights have bits set behind their %d channels; expected 0; convert the model again", channels);
    }
  }
}

void CheckUsedBits(const TensorInfo& weights, int channels) {
  const auto* words = static_cast<const Word*>(weights.constant);
  std::vector<Word> used(weights.last_dim());
  for (std::size_t i = 0; i < weights.constant_bytes / sizeof(Word); ++i) used[i % used.size()] |= words[i];
  std::size_t bits = 0;
  for (const Word word : used) bits += std::bitset<kWordBits>(word).count();
  if (bits > static_cast<std::size_t>(channels)) {
    Refuse("the rows of the weights use %zu bits; expected no more than channels_in, %d; convert the model again", bits,
           channels);
  }
}

}  // namespace keras_bnn
