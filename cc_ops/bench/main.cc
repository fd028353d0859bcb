// Runs layers and loops of the library and compares their outputs with those of a plain loop:
//
//     keras_bnn_bench                    lists the cases, one a line: name, tab, multiply-accumulates or values
//     keras_bnn_bench KERNEL_SET         runs all
//     keras_bnn_bench KERNEL_SET CASE    runs one to warm up, and once between the markers of marker.h
//
// The exit status is 1 where outputs differ.
#include <cinttypes>
#include <cstdio>

#include "bench/cases.h"
#include "bench/marker.h"
#include "core/refusal.h"

namespace keras_bnn {
namespace {

bool Check(const Case& chosen, const Bench& bench) {
  if (bench.check()) return true;
  std::fprintf(stderr, "%s: the outputs are not those of a plain loop.\n", chosen.name.c_str());
  return false;
}

bool RunCase(const Case& chosen, const KernelSet& kernels) {
  const Bench bench = chosen.make(kernels);
  bench.run();
  if (!Check(chosen, bench)) return false;
  bench.invalidate();
  BeginCount();
  bench.run();
  EndCount();
  return Check(chosen, bench);
}

int Main(int argc, char** argv) {
  bool found = false, right = true;
  for (const Case& each : AllCases()) {
    if (argc == 1) {
      std::printf("%s\t%" PRId64 "\n", each.name.c_str(), each.work);
    } else if (argc == 2 || each.name == argv[2]) {
      found = true;
      if (!RunCase(each, ChooseKernelSet(argv[1]))) right = false;
    }
  }
  if (argc == 1 || found) return right ? 0 : 1;
  std::fprintf(stderr, "There is no case \"%s\": keras_bnn_bench without arguments lists them.\n", argv[2]);
  return 2;
}

}  // namespace
}  // namespace keras_bnn

int main(int argc, char** argv) {
  try {
    return keras_bnn::Main(argc, argv);
  } catch (const keras_bnn::Refusal& refusal) {
    std::fprintf(stderr, "%s\n", refusal.what());
    return 2;
  }
}
