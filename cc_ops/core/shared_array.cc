#include "core/shared_array.h"

#include <mutex>
#include <unordered_map>

namespace keras_bnn {

template <typename T>
class SharedArrayRegistry {
 public:
  using Entry = typename SharedArray<T>::Entry;

  // The one of all arrays: for good, because arrays may outlive every other static object.
  static SharedArrayRegistry& Instance() {
    static auto* const instance = new SharedArrayRegistry;
    return *instance;
  }

  Entry* Share(std::vector<T> values) {
    const std::uint64_t hash = Hash(values);
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [begin, end] = entries_.equal_range(hash);
    for (auto entry = begin; entry != end; ++entry) {
      if (entry->second.values != values) continue;
      ++entry->second.users;
      return &entry->second;
    }
    return &entries_.emplace(hash, Entry{std::move(values), hash, 1})->second;
  }

  void Add(Entry* entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++entry->users;
  }

  void Drop(const Entry* entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [begin, end] = entries_.equal_range(entry->hash);
    for (auto each = begin; each != end; ++each) {
      if (&each->second != entry) continue;
      if (--each->second.users == 0) entries_.erase(each);
      return;
    }
  }

  std::size_t Bytes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t bytes = 0;
    for (const auto& entry : entries_) bytes += entry.second.values.size() * sizeof(T);
    return bytes;
  }

 private:
  static std::uint64_t Hash(const std::vector<T>& values) {
    std::uint64_t hash = values.size();
    for (const T value : values) {
      hash = (hash ^ static_cast<std::uint32_t>(value)) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 32;
    }
    return hash;
  }

  std::mutex mutex_;
  std::unordered_multimap<std::uint64_t, Entry> entries_;  // which keep their addresses
};

template <typename T>
SharedArray<T>::SharedArray(std::vector<T> values)
    : entry_(SharedArrayRegistry<T>::Instance().Share(std::move(values))) {}

template <typename T>
SharedArray<T>::SharedArray(const SharedArray& other) : entry_(other.entry_) {
  if (entry_ != nullptr) SharedArrayRegistry<T>::Instance().Add(entry_);
}

template <typename T>
SharedArray<T>::~SharedArray() {
  if (entry_ != nullptr) SharedArrayRegistry<T>::Instance().Drop(entry_);
}

template class SharedArray<Word>;
template class SharedArray<std::int32_t>;

std::size_t SharedArrayBytes() {
  return SharedArrayRegistry<Word>::Instance().Bytes() + SharedArrayRegistry<std::int32_t>::Instance().Bytes();
}

}  // namespace keras_bnn
