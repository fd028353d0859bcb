// A small pool of threads that split one op's work. It sleeps when idle: a phone's battery matters more than the
// microseconds that spinning would save.
//
// One ParallelFor runs at a time; a second caller (two interpreters that share a delegate) does its work alone instead
// of waiting. std::thread starts the threads, but the waiting uses pthread's condition variables: those of libstdc++ 12
// ask for a newer libstdc++ than the systems that this library must load on have.
#ifndef KERAS_BNN_CORE_THREAD_POOL_H_
#define KERAS_BNN_CORE_THREAD_POOL_H_

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

namespace keras_bnn {

class ThreadPool {
 public:
  ThreadPool() = default;
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Makes the pool as large as `threads`, the caller of ParallelFor included; it never shrinks. Where the system has no
  // more threads to give, the pool stays smaller.
  void Grow(int threads);

  // Calls function(item, thread) once for each item in [0, items), on up to `threads` threads (as far as the pool has
  // them), and returns when all are done. `thread` is in [0, threads) and differs between calls that run at the same
  // time. The function must not throw.
  template <typename Function>
  void ParallelFor(int items, int threads, const Function& function) {
    const auto call = [](const void* context, int item, int thread) {
      (*static_cast<const Function*>(context))(item, thread);
    };
    Run(items, threads, call, &function);
  }

 private:
  using Call = void (*)(const void* context, int item, int thread);

  bool Forked() const { return getpid() != owner_; }
  void Run(int items, int threads, Call call, const void* context);
  bool Start(int items, int threads, Call call, const void* context);
  void Work(int thread);
  void TakeItems(int thread);

  const pid_t owner_ = getpid();
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;  // guards the members up to stop_
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t done_ = PTHREAD_COND_INITIALIZER;
  std::vector<std::thread> workers_;
  bool running_ = false;  // whether a ParallelFor has the workers
  unsigned round_ = 0;    // counts the calls that had them, so that a worker joins each of these once
  int wanted_ = 0;        // workers that take part in this round: those with thread < wanted_
  int pending_ = 0;       // of those, the ones that have not finished
  bool stop_ = false;

  Call call_ = nullptr;
  const void* context_ = nullptr;
  int items_ = 0;
  std::atomic<int> next_item_{0};
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_THREAD_POOL_H_
