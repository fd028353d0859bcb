#include "kernels/kernel_set.h"

#include <cstring>
#include <string>

#include "core/refusal.h"

namespace keras_bnn {
namespace {

bool Always() { return true; }

#if defined(__x86_64__)
bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool HasAvx512Vpopcntdq() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vnni");
}
#endif

struct Entry {
  const KernelSet* set;
  bool (*supported)();
};

constexpr Entry kEntries[] = {
#if defined(__x86_64__)
    {&kAvx512VpopcntdqKernels, HasAvx512Vpopcntdq},
    {&kAvx2Kernels, HasAvx2},
#elif defined(__aarch64__)
    {&kNeonKernels, Always},  // part of the architecture
#endif
    {&kScalarKernels, Always},
};

constexpr int kCount = sizeof(kEntries) / sizeof(kEntries[0]);

std::string SupportedNames() {
  std::string names;
  for (const Entry& entry : kEntries) {
    if (entry.supported()) names += (names.empty() ? "" : ", ") + std::string(entry.set->name);
  }
  return names;
}

}  // namespace

int KernelSetCount() { return kCount; }

const KernelSet& KernelSetAt(int index) { return *kEntries[index].set; }

bool KernelSetSupported(int index) { return kEntries[index].supported(); }

const KernelSet& ChooseKernelSet(const char* name) {
  const bool any = name == nullptr || name[0] == '\0';
  for (const Entry& entry : kEntries) {
    if (!any && std::strcmp(name, entry.set->name) != 0) continue;
    if (entry.supported()) return *entry.set;
    if (!any) {
      Refuse("the kernel set \"%s\" needs instructions that this CPU lacks; those that run here are: %s", name,
             SupportedNames().c_str());
    }
  }
  Refuse("there is no kernel set \"%.40s\"; those that run here are: %s", name, SupportedNames().c_str());
}

}  // namespace keras_bnn
