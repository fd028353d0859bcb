#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "core/subnormals.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace keras_bnn {
namespace {

// ThreadPool::state_: the workers that have joined the current ParallelFor and not left it yet, the further ones that
// may join it, and whether the pool ends.
constexpr std::uint32_t kJoined = 1;
constexpr std::uint32_t kPlace = 1 << 15;
constexpr std::uint32_t kJoinedMask = kPlace - kJoined;
constexpr std::uint32_t kStop = std::uint32_t{1} << 30;
constexpr std::uint32_t kPlacesMask = kStop - kPlace;
constexpr int kMostThreads = (1 << 15) - 1;

// How long a thread waits awake. Between two ops of a network there are tens of microseconds; beyond that, a thread
// that keeps a core from others and from sleep costs more than to wake it.
constexpr std::chrono::microseconds kAwake{150};
constexpr std::chrono::microseconds kOnTheCore{20};  // of these, before it offers its core to others

// Work worth a further thread. On x86-64 and in a virtual machine, a thread that is awake joins and reports in half a
// microsecond; to wake one takes its waker 8 to 18 microseconds.
constexpr std::int64_t kSharedMicroseconds = 3;
constexpr std::int64_t kWakingMicroseconds = 18;

// Counts the forks of the process, in each of its children: a child has none of the pool's workers.
std::atomic<int> forks{0};

int ForksSoFar() {
#if !defined(_WIN32)  // which has no fork
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
#endif
  return forks.load(std::memory_order_relaxed);
}

using Lock = std::unique_lock<std::mutex>;

// Tells the core that this thread only waits.
void Pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // the instruction `yield` does nothing on most cores
#endif
}

// Waits awake until holds() holds; false when it does not after all the time that a thread may stay awake. After a
// while, the thread that it waits for may be one that only lacks a core.
template <typename Predicate>
bool WaitAwake(const Predicate& holds) {
  using Clock = std::chrono::steady_clock;
  constexpr int kPausesPerLookAtTheClock = 32;
  if (holds()) return true;
  const auto begin = Clock::now();
  for (;;) {
    for (int i = 0; i < kPausesPerLookAtTheClock; ++i) {
      if (holds()) return true;
      Pause();
    }
    const auto waited = Clock::now() - begin;
    if (waited >= kAwake) return false;
    if (waited >= kOnTheCore) std::this_thread::yield();
  }
}

}  // namespace

ThreadPool::ThreadPool() : forks_(ForksSoFar()) {}

ThreadPool::~ThreadPool() {
  if (Forked()) {
    // They stand for threads that are gone, and by now perhaps for new ones in the same places: not to be touched.
    [[maybe_unused]] const auto* gone = threads_.release();
    return;
  }
  {
    const Lock lock(mutex_);
    state_.fetch_or(kStop);
    wake_.WakeAll();
  }
  for (std::thread& thread : *threads_) thread.join();
}

bool ThreadPool::Forked() const { return forks.load(std::memory_order_relaxed) != forks_; }

int ThreadPool::Grow(int threads) {
  if (Forked()) return 1;
  const Lock lock(mutex_);
  try {
    while (workers_ + 1 < std::min(threads, kMostThreads)) {
      threads_->emplace_back([this] { Work(); });
      ++workers_;
    }
  } catch (const std::system_error&) {
    // Fewer threads are slower, not wrong.
  }
  return std::min(threads, workers_ + 1);
}

int ThreadPool::UsefulThreads(int threads, std::int64_t microseconds) const {
  int workers = workers_.load(std::memory_order_relaxed);
  if (microseconds < kWakingMicroseconds) workers -= sleeping_.load(std::memory_order_relaxed);
  const std::int64_t worthwhile = microseconds / kSharedMicroseconds;
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>({threads, workers + 1, worthwhile})));
}

void ThreadPool::Run(int items, int threads, Call call, const void* context) {
  const int useful = std::min({items, threads, workers_.load(std::memory_order_relaxed) + 1});
  if (useful <= 1 || Forked() || busy_.exchange(true, std::memory_order_acquire)) {
    for (int item = 0; item < items; ++item) call(context, item, 0);
    return;
  }
  call_ = call;
  context_ = context;
  range_count_ = std::min(useful, kMostRanges);
  for (int i = 0; i < range_count_; ++i) {
    ranges_[i].next.store(static_cast<std::uint32_t>(std::int64_t{items} * i / range_count_),
                          std::memory_order_relaxed);
    ranges_[i].end = static_cast<std::uint32_t>(std::int64_t{items} * (i + 1) / range_count_);
  }
  state_.store(static_cast<std::uint32_t>(useful - 1) * kPlace);
  Wake(useful - 1);
  TakeItems(0);
  WaitForWorkers();
  busy_.store(false, std::memory_order_release);
}

// Wakes as many as are missing for so many workers. A worker that falls asleep meanwhile has seen the new state_ or is
// seen here: both sides first write and then read, and all four accesses have one order.
void ThreadPool::Wake(int workers) {
  const auto missing = [&] { return std::min(sleeping_.load(), workers - (workers_.load() - sleeping_.load())); };
  if (missing() <= 0) return;
  const Lock lock(mutex_);
  for (int i = missing(); i > 0; --i) {
    --sleeping_;
    ++woken_;
    wake_.WakeOne();
  }
}

void ThreadPool::WaitForWorkers() {
  state_.fetch_and(kJoinedMask, std::memory_order_acquire);
  const auto done = [&] { return state_.load() == 0; };
  if (WaitAwake(done)) return;
  Lock lock(mutex_);
  caller_sleeps_.store(true);
  while (!done()) done_.Wait(&lock);
  caller_sleeps_.store(false);
}

void ThreadPool::TakeItems(int thread) {
  for (int i = 0; i < range_count_; ++i) {
    Range& range = ranges_[(thread + i) % range_count_];
    for (std::uint32_t item = range.next.fetch_add(1, std::memory_order_relaxed); item < range.end;
         item = range.next.fetch_add(1, std::memory_order_relaxed)) {
      call_(context_, static_cast<int>(item), thread);
    }
  }
}

void ThreadPool::Work() {
  const KeepSubnormals keep_subnormals;  // threads begin in the mode of the one that starts them
  const auto called = [&] { return (state_.load(std::memory_order_relaxed) & (kPlacesMask | kStop)) != 0; };
  for (;;) {
    Sleep();
    // A worker that comes too late sleeps again: it seems that there is no core for it.
    do {
      if ((state_.load(std::memory_order_relaxed) & kStop) != 0) return;
      const int thread = Join();
      if (thread == 0) break;
      TakeItems(thread);
      Leave();
    } while (WaitAwake(called));
  }
}

void ThreadPool::Sleep() {
  Lock lock(mutex_);
  ++sleeping_;
  if ((state_.load() & (kPlacesMask | kStop)) != 0) {
    --sleeping_;
    return;
  }
  while (woken_ == 0 && (state_.load() & kStop) == 0) wake_.Wait(&lock);
  if (woken_ > 0) --woken_;
}

// Takes a place in the current ParallelFor and returns its number; 0 when none is left.
int ThreadPool::Join() {
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  while ((state & kPlacesMask) != 0) {
    if (state_.compare_exchange_weak(state, state - kPlace + kJoined, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      return static_cast<int>((state & kPlacesMask) / kPlace);
    }
  }
  return 0;
}

// No item is left, so that nobody else needs to join either.
void ThreadPool::Leave() {
  state_.fetch_and(~kPlacesMask, std::memory_order_relaxed);
  if (state_.fetch_sub(kJoined) != kJoined || !caller_sleeps_.load()) return;
  const Lock lock(mutex_);
  done_.WakeOne();
}

}  // namespace keras_bnn
