#include "fuzz/memory_limit.h"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

std::size_t most_bytes = std::numeric_limits<std::size_t>::max();

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return size > most_bytes ? nullptr : std::malloc(size);
}

void* operator new(std::size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace keras_bnn {

MemoryLimit::MemoryLimit() { most_bytes = std::size_t{4} << 20; }
MemoryLimit::~MemoryLimit() { most_bytes = std::numeric_limits<std::size_t>::max(); }

}  // namespace keras_bnn
