#include "core/shared_array.h"

#include <mutex>
#include <unordered_map>
#include <utility>

namespace keras_bnn {
namespace {

template <typename T>
class Registry {
 public:
  using Values = std::shared_ptr<const std::vector<T>>;

  // The one that arrays share: for good, because arrays may outlive every other static object.
  static Registry& Instance() {
    static auto* const instance = new Registry;
    return *instance;
  }

  Values Share(std::vector<T> values) {
    const std::uint64_t hash = Hash(values);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const Values present = entry->second.lock();
      if (present == nullptr) {
        entry = entries_.erase(entry);
        continue;
      }
      if (entry->first == hash && *present == values) return present;
      ++entry;
    }
    auto shared = std::make_shared<const std::vector<T>>(std::move(values));
    entries_.emplace(hash, shared);
    return shared;
  }

  std::size_t Bytes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t bytes = 0;
    for (const auto& entry : entries_) {
      if (const Values present = entry.second.lock()) bytes += present->size() * sizeof(T);
    }
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
  std::unordered_multimap<std::uint64_t, std::weak_ptr<const std::vector<T>>> entries_;
};

}  // namespace

template <typename T>
SharedArray<T>::SharedArray(std::vector<T> values) : values_(Registry<T>::Instance().Share(std::move(values))) {}

template class SharedArray<Word>;
template class SharedArray<std::int32_t>;

std::size_t SharedArrayBytes() {
  return Registry<Word>::Instance().Bytes() + Registry<std::int32_t>::Instance().Bytes();
}

}  // namespace keras_bnn
