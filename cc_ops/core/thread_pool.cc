#include "core/thread_pool.h"

#include <system_error>

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
  {
    const Lock lock(&mutex_);
    stop_ = true;
    pthread_cond_broadcast(&wake_);
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Grow(int threads) {
  const Lock lock(&busy_);
  try {
    while (this->threads() < threads) {
      const int thread = this->threads();
      workers_.emplace_back([this, thread] { Work(thread); });
    }
  } catch (const std::system_error&) {
    // Fewer threads are slower, not wrong.
  }
}

void ThreadPool::Run(int items, int threads, Call call, const void* context) {
  const bool alone = threads <= 1 || items <= 1 || pthread_mutex_trylock(&busy_) != 0;
  if (alone) {
    for (int item = 0; item < items; ++item) call(context, item, 0);
    return;
  }
  call_ = call;
  context_ = context;
  items_ = items;
  next_item_.store(0, std::memory_order_relaxed);
  {
    const Lock lock(&mutex_);
    const int useful = threads < items ? threads : items;
    wanted_ = useful < this->threads() ? useful : this->threads();
    pending_ = wanted_ - 1;
    ++round_;
    pthread_cond_broadcast(&wake_);
  }
  TakeItems(0);
  {
    const Lock lock(&mutex_);
    while (pending_ > 0) pthread_cond_wait(&done_, &mutex_);
  }
  pthread_mutex_unlock(&busy_);
}

void ThreadPool::Work(int thread) {
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
