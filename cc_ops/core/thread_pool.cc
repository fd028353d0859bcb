#include "core/thread_pool.h"

#include <algorithm>
#include <system_error>

#include "core/subnormals.h"

namespace keras_bnn {
namespace {

class Lock {
 public:
  explicit Lock(pthread_mutex_t* mutex) : mutex_(mutex) { pthread_mutex_lock(mutex_); }
  ~Lock() { pthread_mutex_unlock(mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t* mutex_;
};

}  // namespace

ThreadPool::~ThreadPool() {
  if (Forked()) {
    for (std::thread& worker : workers_) worker.detach();
    return;
  }
  {
    const Lock lock(&mutex_);
    stop_ = true;
    pthread_cond_broadcast(&wake_);
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Grow(int threads) {
  if (Forked()) return;
  const Lock lock(&mutex_);
  try {
    for (int thread = static_cast<int>(workers_.size()) + 1; thread < threads; ++thread) {
      workers_.emplace_back([this, thread] { Work(thread); });
    }
  } catch (const std::system_error&) {
    // Fewer threads are slower, not wrong.
  }
}

bool ThreadPool::Start(int items, int threads, Call call, const void* context) {
  const Lock lock(&mutex_);
  const int useful = std::min({items, threads, static_cast<int>(workers_.size()) + 1});
  if (running_ || useful <= 1) return false;
  call_ = call;
  context_ = context;
  items_ = items;
  next_item_.store(0, std::memory_order_relaxed);
  running_ = true;
  wanted_ = useful;
  pending_ = useful - 1;
  ++round_;
  pthread_cond_broadcast(&wake_);
  return true;
}

void ThreadPool::Run(int items, int threads, Call call, const void* context) {
  const bool alone = items <= 1 || threads <= 1 || Forked() || !Start(items, threads, call, context);
  if (alone) {
    for (int item = 0; item < items; ++item) call(context, item, 0);
    return;
  }
  TakeItems(0);
  const Lock lock(&mutex_);
  while (pending_ > 0) pthread_cond_wait(&done_, &mutex_);
  running_ = false;
}

void ThreadPool::Work(int thread) {
  const KeepSubnormals keep_subnormals;  // threads begin in the mode of the one that starts them
  unsigned seen = 0;
  for (;;) {
    {
      const Lock lock(&mutex_);
      while (!stop_ && (round_ == seen || thread >= wanted_)) {
        seen = round_;
        pthread_cond_wait(&wake_, &mutex_);
      }
      if (stop_) return;
      seen = round_;
    }
    TakeItems(thread);
    const Lock lock(&mutex_);
    if (--pending_ == 0) pthread_cond_signal(&done_);
  }
}

void ThreadPool::TakeItems(int thread) {
  for (int item = next_item_.fetch_add(1, std::memory_order_relaxed); item < items_;
       item = next_item_.fetch_add(1, std::memory_order_relaxed)) {
    call_(context_, item, thread);
  }
}

}  // namespace keras_bnn
