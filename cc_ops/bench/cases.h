// What the benchmark can run: a layer or a loop of the library on seeded data, whose outputs can be checked.
#ifndef KERAS_BNN_BENCH_CASES_H_
#define KERAS_BNN_BENCH_CASES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"

namespace keras_bnn {

// Data in place, for one kernel set.
struct Bench {
  std::function<void()> run;         // once
  std::function<bool()> check;       // whether the outputs are those of a plain loop
  std::function<void()> invalidate;  // the outputs, so that the next check is of the next run
};

struct Case {
  std::string name;
  std::int64_t work;  // multiply-accumulates, or values where nothing is multiplied
  std::function<Bench(const KernelSet&)> make;
};

std::vector<Case> AllCases();

}  // namespace keras_bnn

#endif  // KERAS_BNN_BENCH_CASES_H_
