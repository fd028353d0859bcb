#include "core/refusal.h"

#include <cstdarg>
#include <cstdio>

namespace keras_bnn {

void Refuse(const char* format, ...) {
  char sentence[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof(sentence), format, arguments);
  va_end(arguments);
  throw Refusal(sentence);
}

}  // namespace keras_bnn
