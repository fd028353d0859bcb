#include "core/refusal.h"

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <string>

namespace keras_bnn {
namespace {

// The bytes of the UTF-8 character (RFC 3629) that begins here, before the end at a 0; 0 where none does, or one that
// a terminal obeys.
int CharacterBytes(const unsigned char* text) {
  const int first = text[0];
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  const int low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const int high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (text[1] < low || text[1] > high) return 0;
  const int bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (int i = 2; i < bytes; ++i) {
    if (text[i] < 0x80 || text[i] > 0xbf) return 0;
  }
  return bytes;
}

// Names in files may be any bytes, and are cut where they are long; Python and Java take text alone.
std::string ValidText(const char* bytes) {
  std::string text;
  for (const auto* next = reinterpret_cast<const unsigned char*>(bytes); *next != 0;) {
    const int count = CharacterBytes(next);
    if (count == 0) {
      text += '?';
    } else {
      text.append(reinterpret_cast<const char*>(next), static_cast<std::size_t>(count));
    }
    next += std::max(count, 1);
  }
  return text;
}

}  // namespace

void Refuse(const char* format, ...) {
  char sentence[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof(sentence), format, arguments);
  va_end(arguments);
  throw Refusal(ValidText(sentence));
}

}  // namespace keras_bnn
