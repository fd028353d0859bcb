// An op of a model file and its tensors, as a fuzz input describes them: first such as the converter could have written
// them, then spoiled in some places.
#ifndef KERAS_BNN_FUZZ_OP_CASE_H_
#define KERAS_BNN_FUZZ_OP_CASE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fuzz/input.h"
#include "tflite/abi.h"

namespace keras_bnn {

struct TensorCase {
  TfLiteType type = kTfLiteFloat32;
  std::vector<int> dims;
  float scale = 0.0f;
  std::int32_t zero_point = 0;
  bool absent = false;
  bool constant = false;
  std::vector<std::uint8_t> data;  // of a constant
};

struct OpCase {
  std::string name;
  std::map<std::string, std::int64_t> options;
  std::vector<TensorCase> inputs;   // x first
  std::vector<TensorCase> outputs;  // with the shapes that the op gives them, if it takes the case
};

// An x that the op `name` could read.
TensorCase MakeX(const std::string& name, Input* input);

// A layer that takes this x, as far as there is one.
OpCase MakeOpCase(const std::string& name, const TensorCase& x, Input* input);

// Changes something in what the file says.
void Spoil(OpCase* op, Input* input);

// The options in the file's form; seldom other bytes.
std::vector<std::uint8_t> OptionBytes(const OpCase& op, Input* input);

// Values of this type that follow from the seed: floats of all kinds, everything else from random bits. Of packed
// `channels`, unused bits are 0; 0: all bits are used.
std::vector<std::uint8_t> Values(TfLiteType type, std::size_t bytes, std::uint32_t seed, int channels);

// The bytes of a tensor; 0 where it has a negative dimension or more than `most` bytes.
std::size_t BytesOf(TfLiteType type, const std::vector<int>& dims, std::size_t most);

}  // namespace keras_bnn

#endif  // KERAS_BNN_FUZZ_OP_CASE_H_
