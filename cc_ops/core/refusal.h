// The one exception of the library: a model, an option or a shape that cannot be run, in one sentence for the user.
//
// It is thrown while a model is prepared and caught where the library is entered (tflite/), which hands the sentence to
// the runtime. Nothing is thrown while a model runs.
#ifndef KERAS_BNN_CORE_REFUSAL_H_
#define KERAS_BNN_CORE_REFUSAL_H_

#include <exception>
#include <string>

#include "core/compiler.h"

namespace keras_bnn {

class Refusal : public std::exception {
 public:
  explicit Refusal(std::string sentence) : sentence_(std::move(sentence)) {}
  const char* what() const noexcept override { return sentence_.c_str(); }

 private:
  std::string sentence_;
};

// Throws a Refusal whose sentence is made as by printf; what is no text in it becomes question marks.
[[noreturn]] void Refuse(const char* format, ...) KERAS_BNN_LIKE_PRINTF(1, 2);

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_REFUSAL_H_
