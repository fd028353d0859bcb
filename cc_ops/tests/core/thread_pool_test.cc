#include "core/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace keras_bnn {
namespace {

// Runs ParallelFor and checks that each item came exactly once and that no two calls had the same thread at once.
void ExpectEachItemOnce(ThreadPool* pool, int items, int threads) {
  SCOPED_TRACE(std::to_string(items) + " items, " + std::to_string(threads) + " threads");
  std::vector<std::atomic<int>> calls(items);
  std::vector<std::atomic<bool>> busy(threads < 1 ? 1 : threads);
  std::atomic<int> wrong_threads{0};
  pool->ParallelFor(items, threads, [&](int item, int thread) {
    if (thread < 0 || thread >= static_cast<int>(busy.size())) {
      ++wrong_threads;
      return;
    }
    if (busy[thread].exchange(true)) ++wrong_threads;
    ++calls[item];
    busy[thread].store(false);
  });
  EXPECT_EQ(wrong_threads, 0);
  for (int item = 0; item < items; ++item) EXPECT_EQ(calls[item], 1) << "item " << item;
}

TEST(ThreadPoolTest, EachItemComesOnce) {
  for (const int size : {1, 2, 4}) {
    ThreadPool pool;
    pool.Grow(size);
    for (const int threads : {0, 1, 2, 3, 4, 9}) {
      for (const int items : {0, 1, 2, 3, 7, 200}) ExpectEachItemOnce(&pool, items, threads);
    }
  }
}

TEST(ThreadPoolTest, WorksWithoutHavingGrown) {
  ThreadPool pool;
  ExpectEachItemOnce(&pool, 10, 4);
  pool.Grow(0);
  ExpectEachItemOnce(&pool, 10, 4);
}

TEST(ThreadPoolTest, AloneKeepsTheOrderAndTheThread) {
  ThreadPool pool;
  std::vector<int> order;
  const std::thread::id caller = std::this_thread::get_id();
  bool same_thread = true;
  pool.ParallelFor(5, 1, [&](int item, int thread) {
    order.push_back(item);
    same_thread = same_thread && thread == 0 && std::this_thread::get_id() == caller;
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_TRUE(same_thread);
}

// Each item waits for all the others to have begun: that needs as many threads as items, all at the same time.
TEST(ThreadPoolTest, ThreadsWorkAtTheSameTime) {
  ThreadPool pool;
  pool.Grow(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> begun{0};
    std::atomic<int> threads_seen{0};  // a bit each
    std::atomic<bool> late{false};
    pool.ParallelFor(3, 3, [&](int, int thread) {
      threads_seen.fetch_or(1 << thread);
      ++begun;
      const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (begun < 3 && !late) {
        if (std::chrono::steady_clock::now() > limit) late = true;
        std::this_thread::yield();
      }
    });
    ASSERT_FALSE(late);
    ASSERT_EQ(threads_seen, 7);
  }
}

TEST(ThreadPoolTest, UsesNoMoreThreadsThanAsked) {
  ThreadPool pool;
  pool.Grow(4);
  std::atomic<int> most{0};
  std::atomic<int> now{0};
  pool.ParallelFor(40, 2, [&](int, int) {
    const int here = ++now;
    int seen = most;
    while (here > seen && !most.compare_exchange_weak(seen, here)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // time for others to wake and join
    --now;
  });
  EXPECT_LE(most, 2);
}

TEST(ThreadPoolTest, ManyRounds) {
  ThreadPool pool;
  pool.Grow(4);
  std::atomic<int> sum{0};
  int expected = 0;
  for (int round = 0; round < 2000; ++round) {
    const int items = round % 9;
    pool.ParallelFor(items, 1 + round % 5, [&](int item, int) { sum += item + 1; });
    expected += items * (items + 1) / 2;
    ASSERT_EQ(sum, expected) << "round " << round;
  }
}

TEST(ThreadPoolTest, GrowsBetweenRounds) {
  ThreadPool pool;
  for (int size = 1; size <= 6; ++size) {
    pool.Grow(size);
    pool.Grow(size - 3);  // never shrinks
    for (int round = 0; round < 20; ++round) ExpectEachItemOnce(&pool, 50, 6);
  }
}

TEST(ThreadPoolTest, GrowsWhileARoundRuns) {
  ThreadPool pool;
  pool.Grow(2);
  std::atomic<bool> finished{false};
  std::thread grower([&] {
    for (int size = 2; size <= 8 && !finished; ++size) {
      pool.Grow(size);
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 100; ++round) ExpectEachItemOnce(&pool, 50, 8);
  finished = true;
  grower.join();
}

TEST(ThreadPoolTest, TwoCallersAtOnce) {
  ThreadPool pool;
  pool.Grow(3);
  const auto call = [&] {
    for (int round = 0; round < 200; ++round) ExpectEachItemOnce(&pool, 20, 3);
  };
  std::thread other(call);
  call();
  other.join();
}

TEST(ThreadPoolTest, ACallInsideACallWorksAlone) {
  ThreadPool pool;
  pool.Grow(3);
  std::atomic<int> calls{0};
  pool.ParallelFor(6, 3, [&](int, int) { pool.ParallelFor(5, 3, [&](int, int) { ++calls; }); });
  EXPECT_EQ(calls, 30);
}

TEST(ThreadPoolTest, WritesOfTheThreadsAreSeenByTheCaller) {
  ThreadPool pool;
  pool.Grow(4);
  for (int round = 1; round <= 200; ++round) {
    std::vector<int> values(64, 0);  // no atomics: the pool itself must order the writes
    pool.ParallelFor(64, 4, [&](int item, int) { values[item] = item * round; });
    for (int item = 0; item < 64; ++item) ASSERT_EQ(values[item], item * round);
  }
}

TEST(ThreadPoolTest, EndsRightAfterGrowing) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool;
    pool.Grow(1 + i % 5);
  }
}

// Half a second without work: workers may stay awake for a small part of a millisecond.
TEST(ThreadPoolTest, SleepsWhenIdle) {
  ThreadPool pool;
  pool.Grow(4);
  ExpectEachItemOnce(&pool, 100, 4);
  const std::clock_t before = std::clock();  // CPU time of all threads
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.01);
}

// All workers sleep before each round, and then have to be found by it.
TEST(ThreadPoolTest, WakesFromSleep) {
  ThreadPool pool;
  pool.Grow(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> begun{0};
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pool.ParallelFor(3, 3, [&](int, int) {
      ++begun;
      while (begun < 3 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    });
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
  }
}

// The caller sleeps after a while, and the last worker wakes it.
TEST(ThreadPoolTest, WaitsForALongItemOfAWorker) {
  ThreadPool pool;
  pool.Grow(2);
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> begun{0};
    std::atomic<bool> ended{false};
    pool.ParallelFor(2, 2, [&](int, int thread) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
      if (thread == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ended = true;
    });
    ASSERT_TRUE(ended);
  }
}

TEST(ThreadPoolTest, UsefulThreadsGrowWithTheWork) {
  ThreadPool pool;
  EXPECT_EQ(pool.UsefulThreads(4, 1000), 1);
  pool.Grow(3);
  EXPECT_EQ(pool.UsefulThreads(4, 1000), 3);
  EXPECT_EQ(pool.UsefulThreads(2, 1000), 2);
  EXPECT_EQ(pool.UsefulThreads(0, 1000), 1);
  EXPECT_EQ(pool.UsefulThreads(4, std::int64_t{1} << 40), 3);
  EXPECT_EQ(pool.UsefulThreads(4, 1), 1);
  EXPECT_EQ(pool.UsefulThreads(4, 0), 1);
}

// Work too short to wake a worker for is shared with one that is awake.
TEST(ThreadPoolTest, ShortWorkIsForWorkersThatAreAwake) {
  ThreadPool pool;
  pool.Grow(2);
  const auto asleep = [&] { return pool.UsefulThreads(2, 10) == 1; };
  for (int i = 0; i < 1000 && !asleep(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(asleep());
  std::atomic<bool> joined{false};
  std::atomic<int> useful{0};
  pool.ParallelFor(2, 2, [&](int, int thread) {
    if (thread == 1) joined = true;
    while (!joined) std::this_thread::yield();
    useful = pool.UsefulThreads(2, 10);
  });
  EXPECT_EQ(useful, 2);
}

// More threads than cores, in several pools: the work gets done, with no thread in the way of another for long.
TEST(ThreadPoolTest, ManyPoolsAtOnce) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([] {
      ThreadPool pool;
      pool.Grow(4);
      for (int round = 0; round < 100; ++round) ExpectEachItemOnce(&pool, 30, 4);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPoolTest, WorksAloneInAForkedProcess) {
  auto pool = std::make_unique<ThreadPool>();
  pool->Grow(3);
  ExpectEachItemOnce(pool.get(), 100, 3);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);  // a hang ends the child by a signal
    pool->Grow(5);
    std::vector<int> calls(100, 0);
    pool->ParallelFor(100, 3, [&](int item, int) { ++calls[item]; });
    {
      ThreadPool own;  // whose threads lie where those of the other pool were
      own.Grow(3);
    }
    pool.reset();
    _exit(std::count(calls.begin(), calls.end(), 1) == 100 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ExpectEachItemOnce(pool.get(), 100, 3);
}

// The child has a pool in the middle of its work, and none of the threads that would finish it.
TEST(ThreadPoolTest, WorksAloneInAProcessForkedWhileTheWorkersWork) {
  auto pool = std::make_unique<ThreadPool>();
  pool->Grow(3);
  std::atomic<bool> finished{false};
  std::thread caller([&] {
    while (!finished) ExpectEachItemOnce(pool.get(), 20, 3);
  });
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    EXPECT_GE(child, 0);
    if (child == 0) {
      alarm(20);  // a hang ends the child by a signal
      int calls = 0;
      pool->ParallelFor(100, 3, [&](int, int) { ++calls; });
      ThreadPool own;
      own.Grow(2);
      std::atomic<int> own_calls{0};
      own.ParallelFor(100, 2, [&](int, int) { ++own_calls; });
      pool.reset();
      _exit(calls == 100 && own_calls == 100 ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  finished = true;
  caller.join();
}

#if defined(__GLIBC__)
// A default stack that no address space can hold makes every start of a thread fail.
TEST(ThreadPoolTest, StaysSmallWhenTheSystemGivesNoThreads) {
  pthread_attr_t attributes;
  pthread_attr_t too_large;
  ASSERT_EQ(pthread_getattr_default_np(&attributes), 0);
  ASSERT_EQ(pthread_attr_init(&too_large), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&too_large, std::numeric_limits<std::size_t>::max() / 16 * 15), 0);
  ThreadPool pool;
  pool.Grow(2);
  ASSERT_EQ(pthread_setattr_default_np(&too_large), 0);
  EXPECT_EQ(pool.Grow(5), 2);
  EXPECT_EQ(pool.Grow(std::numeric_limits<int>::max()), 2);
  ASSERT_EQ(pthread_setattr_default_np(&attributes), 0);
  for (int round = 0; round < 20; ++round) ExpectEachItemOnce(&pool, 50, 5);
  pthread_attr_destroy(&attributes);
  pthread_attr_destroy(&too_large);
}
#endif

}  // namespace
}  // namespace keras_bnn
