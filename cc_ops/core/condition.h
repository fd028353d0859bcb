// What a thread waits for, with std::mutex. pthread's where there is one: that of libstdc++ 12 asks for a newer
// libstdc++ than the systems that this library must load on have.
#ifndef KERAS_BNN_CORE_CONDITION_H_
#define KERAS_BNN_CORE_CONDITION_H_

#include <mutex>

#if defined(_WIN32)
#include <condition_variable>
#else
#include <pthread.h>
#endif

namespace keras_bnn {

class Condition {
 public:
#if defined(_WIN32)
  void Wait(std::unique_lock<std::mutex>* lock) { condition_.wait(*lock); }
  void WakeOne() { condition_.notify_one(); }
  void WakeAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
#else
  void Wait(std::unique_lock<std::mutex>* lock) { pthread_cond_wait(&condition_, lock->mutex()->native_handle()); }
  void WakeOne() { pthread_cond_signal(&condition_); }
  void WakeAll() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
#endif
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_CONDITION_H_
