// Writes a flexbuffer map of integers, the options of a custom op.
#ifndef KERAS_BNN_TESTS_SUPPORT_FLEXBUFFER_MAP_H_
#define KERAS_BNN_TESTS_SUPPORT_FLEXBUFFER_MAP_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keras_bnn {

using Bytes = std::vector<std::uint8_t>;

// `width` is the size in bytes of every number and offset: 1, 2, 4 or 8.
inline Bytes FlexbufferMap(const std::map<std::string, std::int64_t>& entries, int width = 4) {
  constexpr std::uint8_t kInt = 1 << 2;
  constexpr std::uint8_t kMap = 9 << 2;
  const std::uint8_t log2_width = width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
  Bytes bytes;
  const auto append = [&](std::uint64_t value) {
    for (int i = 0; i < width; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  std::vector<std::uint64_t> key_places;
  for (const auto& entry : entries) {
    key_places.push_back(bytes.size());
    bytes.insert(bytes.end(), entry.first.begin(), entry.first.end());
    bytes.push_back(0);
  }
  while (bytes.size() % width != 0) bytes.push_back(0);
  append(entries.size());
  const std::uint64_t keys = bytes.size();
  for (const std::uint64_t place : key_places) append(bytes.size() - place);
  append(bytes.size() - keys);
  append(static_cast<std::uint64_t>(width));
  append(entries.size());
  const std::uint64_t values = bytes.size();
  for (const auto& entry : entries) append(static_cast<std::uint64_t>(entry.second));
  for (std::size_t i = 0; i < entries.size(); ++i) bytes.push_back(kInt | log2_width);
  while (bytes.size() % width != 0) bytes.push_back(0);
  append(bytes.size() - values);
  bytes.push_back(kMap | log2_width);
  bytes.push_back(static_cast<std::uint8_t>(width));
  return bytes;
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_FLEXBUFFER_MAP_H_
