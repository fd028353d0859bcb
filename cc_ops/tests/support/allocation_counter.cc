#include "support/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> count{0};
std::atomic<std::size_t> bytes{0};
std::atomic<std::size_t> freed{0};

// Of FailingAllocation.
thread_local bool (*counts)() = nullptr;
thread_local std::size_t left = 0;
thread_local bool has_failed = false;

bool Fails() {
  if (counts == nullptr || has_failed || !counts() || left-- > 0) return false;
  has_failed = true;
  return true;
}

void Free(void* memory) {
  if (memory != nullptr) freed.fetch_add(1, std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  if (Fails()) throw std::bad_alloc();
  count.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t) noexcept { Free(memory); }

namespace keras_bnn {

std::size_t AllocationCount() { return count.load(std::memory_order_relaxed); }

std::size_t AllocatedBytes() { return bytes.load(std::memory_order_relaxed); }

std::size_t AllocationsAlive() { return AllocationCount() - freed.load(std::memory_order_relaxed); }

FailingAllocation::FailingAllocation(std::size_t number, bool (*when)()) {
  has_failed = false;
  left = number;
  counts = when;
}

FailingAllocation::~FailingAllocation() { counts = nullptr; }

bool FailingAllocation::happened() const { return has_failed; }

}  // namespace keras_bnn
