#include "ops/options.h"

#include <algorithm>
#include <cstring>

#include "core/refusal.h"

namespace keras_bnn {
namespace {

// The parts of the FlexBuffers format that a map of integers uses. A buffer ends in: root value, its type byte, its
// width in bytes. A type byte is (type << 2 | log2(width of children)). A vector or map is addressed by its first
// element; the size lies one width before it; a map has two more fields before the size: the offset back to its vector
// of keys, and the width of that vector. After the elements come their type bytes. Keys are zero-terminated strings,
// each addressed by an offset back from its slot.
constexpr int kTypeInt = 1;
constexpr int kTypeUInt = 2;
constexpr int kTypeMap = 9;
constexpr std::uint64_t kMostKeys = 64;

[[noreturn]] void RefuseBytes() {
  Refuse("the options are no flexbuffer map of integers; the file is damaged or was not written by the converter");
}

// Bounds-checked reads at offsets into the buffer.
class Reader {
 public:
  Reader(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), size_(size) {}

  std::uint64_t size() const { return size_; }

  std::uint64_t Unsigned(std::uint64_t at, std::uint64_t width) const {
    if (width != 1 && width != 2 && width != 4 && width != 8) RefuseBytes();
    if (at > size_ || size_ - at < width) RefuseBytes();
    std::uint64_t value = 0;
    for (std::uint64_t i = 0; i < width; ++i) value |= std::uint64_t{bytes_[at + i]} << (8 * i);
    return value;
  }

  // An unsigned number of 2^63 or more comes back as 2^63 - 1: no option is that large.
  std::int64_t Integer(std::uint64_t at, std::uint64_t width, std::uint64_t type) const {
    const std::uint64_t value = Unsigned(at, width);
    if (type == kTypeUInt) return static_cast<std::int64_t>(std::min(value, ~std::uint64_t{0} >> 1));
    const int unused = 64 - 8 * static_cast<int>(width);
    return static_cast<std::int64_t>(value << unused) >> unused;
  }

  // What the offset stored at `at` points back to.
  std::uint64_t Follow(std::uint64_t at, std::uint64_t width) const {
    const std::uint64_t offset = Unsigned(at, width);
    if (offset > at) RefuseBytes();
    return at - offset;
  }

  std::string Key(std::uint64_t at) const {
    if (at >= size_) RefuseBytes();
    const void* end = std::memchr(bytes_ + at, 0, size_ - at);
    if (end == nullptr) RefuseBytes();
    return {reinterpret_cast<const char*>(bytes_ + at), static_cast<const char*>(end)};
  }

 private:
  const std::uint8_t* bytes_;
  std::size_t size_;
};

}  // namespace

Options::Options(const std::uint8_t* bytes, std::size_t size) {
  if (bytes == nullptr || size < 3) RefuseBytes();
  const Reader reader(bytes, size);
  const std::uint64_t root_width = reader.Unsigned(size - 1, 1);
  const std::uint64_t root_type = reader.Unsigned(size - 2, 1);
  if (root_type >> 2 != kTypeMap || root_width > size - 2) RefuseBytes();
  const std::uint64_t width = std::uint64_t{1} << (root_type & 3);
  const std::uint64_t values = reader.Follow(size - 2 - root_width, root_width);
  if (values < 3 * width) RefuseBytes();
  const std::uint64_t count = reader.Unsigned(values - width, width);
  const std::uint64_t key_width = reader.Unsigned(values - 2 * width, width);
  const std::uint64_t keys = reader.Follow(values - 3 * width, width);
  if (count > kMostKeys) RefuseBytes();
  const std::uint64_t types = values + count * width;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t type = reader.Unsigned(types + i, 1) >> 2;
    std::string key = reader.Key(reader.Follow(keys + i * key_width, key_width));
    if (type != kTypeInt && type != kTypeUInt) Refuse("the option \"%.40s\" is no integer", key.c_str());
    entries_.push_back({std::move(key), reader.Integer(values + i * width, width, type), false});
  }
}

Options::Options(const std::map<std::string, std::int64_t>& entries) {
  for (const auto& [key, value] : entries) entries_.push_back({key, value, false});
}

Options::Entry* Options::Find(const char* key) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [key](const Entry& entry) { return entry.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

std::int64_t Options::Checked(Entry* entry, std::int64_t low, std::int64_t high) {
  if (entry->value < low || entry->value > high) {
    Refuse("the option \"%s\" is %lld; expected %lld to %lld", entry->key.c_str(), static_cast<long long>(entry->value),
           static_cast<long long>(low), static_cast<long long>(high));
  }
  entry->known = true;
  return entry->value;
}

int Options::Required(const char* key, int low, int high) {
  Entry* entry = Find(key);
  if (entry == nullptr) Refuse("the option \"%s\" is missing", key);
  return static_cast<int>(Checked(entry, low, high));
}

int Options::Optional(const char* key, int low, int high, int value_if_absent) {
  return static_cast<int>(OptionalInt64(key, low, high, value_if_absent));
}

std::int64_t Options::OptionalInt64(const char* key, std::int64_t low, std::int64_t high,
                                    std::int64_t value_if_absent) {
  Entry* entry = Find(key);
  return entry == nullptr ? value_if_absent : Checked(entry, low, high);
}

void Options::RefuseUnknownKeys() const {
  for (const Entry& entry : entries_) {
    if (!entry.known) {
      Refuse("the option \"%.40s\" is not known to this version of the library; expected a file of format version 1",
             entry.key.c_str());
    }
  }
}

}  // namespace keras_bnn
