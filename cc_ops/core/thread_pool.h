// A small pool of threads that split one op's work.
//
// To wake a sleeping thread costs its waker more than many an op takes, so a worker that has run out of work waits
// awake for the next op of the inference, a short time; then it sleeps, because a battery matters more than the start
// of the next inference. Nobody waits for a worker that comes too late: the caller takes the items too, and when none
// is left, only those that a worker has begun are waited for.
//
// One ParallelFor runs at a time; a second caller (two interpreters that share a delegate) does its work alone instead
// of waiting. std::thread starts the threads, but the waiting uses pthread's condition variables: those of libstdc++ 12
// ask for a newer libstdc++ than the systems that this library must load on have.
#ifndef KERAS_BNN_CORE_THREAD_POOL_H_
#define KERAS_BNN_CORE_THREAD_POOL_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace keras_bnn {

class ThreadPool {
 public:
  ThreadPool();
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Makes the pool as large as `threads`, the caller of ParallelFor included; it never shrinks. Where the system has no
  // more threads to give, the pool stays smaller.
  void Grow(int threads);

  // How many of `threads` threads make work of so many microseconds faster, as things are: 1 when it is not worth to
  // share it.
  int UsefulThreads(int threads, std::int64_t microseconds) const;

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

  bool Forked() const;
  void Run(int items, int threads, Call call, const void* context);
  void Wake(int workers);
  void WaitForWorkers();
  void TakeItems(int thread);

  void Work();
  void Sleep();
  int Join();
  void Leave();

  const int forks_;                // of the process before the pool was made
  std::atomic<bool> busy_{false};  // whether a ParallelFor has the workers
  std::atomic<int> workers_{0};
  std::atomic<int> sleeping_{0};            // workers; changes under the mutex
  std::atomic<bool> caller_sleeps_{false};  // changes under the mutex
  std::vector<std::thread> threads_;        // guarded by the mutex, as is what follows
  int woken_ = 0;                           // workers that are to leave their sleep
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t done_ = PTHREAD_COND_INITIALIZER;

  // The items that a thread begins with: those it had in the op before, so that their data is still in its core's
  // caches. When they are done it takes those of the others.
  struct Range {
    std::atomic<int> next{0};
    int end = 0;
    char apart[56];  // each has a cache line of its own
  };
  static constexpr int kMostRanges = 16;

  // What waiting workers read has a cache line of its own, as has what working threads write.
  [[maybe_unused]] char apart_[64];
  std::atomic<std::uint32_t> state_{0};  // see the .cc file
  Call call_ = nullptr;                  // the current ParallelFor's, as are those below
  const void* context_ = nullptr;
  int range_count_ = 0;
  [[maybe_unused]] char also_apart_[64];
  Range ranges_[kMostRanges];
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_THREAD_POOL_H_
