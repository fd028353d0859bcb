// The options of a custom op: a flexbuffer map of integers (docs/format.md).
#ifndef KERAS_BNN_OPS_OPTIONS_H_
#define KERAS_BNN_OPS_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keras_bnn {

class Options {
 public:
  // Reads the map; refuses bytes that are not a well-formed flexbuffer map of integers. Copies what it needs.
  Options(const std::uint8_t* bytes, std::size_t size);

  // A map with these entries.
  explicit Options(const std::map<std::string, std::int64_t>& entries);

  // The value of a key, which must be there and lie in [low, high].
  int Required(const char* key, int low, int high);

  // The same, or `value_if_absent` when the map has no such key.
  int Optional(const char* key, int low, int high, int value_if_absent);

  // The same for values that an int cannot hold.
  std::int64_t OptionalInt64(const char* key, std::int64_t low, std::int64_t high, std::int64_t value_if_absent);

  // Refuses a map with keys that were not asked for: they would change what the op means.
  void RefuseUnknownKeys() const;

 private:
  struct Entry {
    std::string key;
    std::int64_t value;
    bool known;
  };

  Entry* Find(const char* key);
  static std::int64_t Checked(Entry* entry, std::int64_t low, std::int64_t high);

  std::vector<Entry> entries_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_OPS_OPTIONS_H_
