#include "core/element_count.h"

#include <algorithm>
#include <string>

#include "core/refusal.h"

namespace keras_bnn {

std::size_t ElementCount(const char* what, std::size_t element_bytes, std::initializer_list<std::int64_t> factors) {
  const std::uint64_t addressable = std::numeric_limits<std::ptrdiff_t>::max() / element_bytes;
  const auto most = static_cast<std::int64_t>(std::min<std::uint64_t>(kMostElements, addressable));
  if (!ProductFits(factors, most)) {
    std::string product;
    for (const std::int64_t factor : factors) product += (product.empty() ? "" : " * ") + std::to_string(factor);
    Refuse("%s would have %s values; expected at most %lld, so take a smaller batch, image or kernel", what,
           product.c_str(), static_cast<long long>(most));
  }
  std::size_t count = 1;
  for (const std::int64_t factor : factors) count *= static_cast<std::size_t>(factor);
  return count;
}

}  // namespace keras_bnn
