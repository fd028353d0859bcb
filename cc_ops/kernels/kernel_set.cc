#include "kernels/kernel_set.h"

#if defined(_WIN32) && (defined(__x86_64__) || defined(_M_X64))
#define KERAS_BNN_CPUID  // by ourselves: not all compilers for Windows answer __builtin_cpu_supports
#include <intrin.h>
#elif defined(__arm__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(KERAS_BNN_SVE2) || defined(KERAS_BNN_SME2)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "core/compiler.h"
#include "core/refusal.h"

namespace keras_bnn {
namespace {

bool Always() { return true; }

#if defined(KERAS_BNN_CPUID)
// Whether the CPU has the instructions of bits of cpuid's leaf 1 (ecx) and leaf 7 (ebx, ecx), and the operating system
// keeps the registers of bits of XCR0.
#if defined(KERAS_BNN_GNU)
__attribute__((target("xsave")))
#endif
bool Has(unsigned leaf1_ecx, unsigned leaf7_ebx, unsigned leaf7_ecx, unsigned registers) {
  constexpr unsigned kOsXsave = 1u << 27;
  int leaf0[4], leaf1[4], leaf7[4];  // eax, ebx, ecx, edx
  __cpuid(leaf0, 0);
  if (leaf0[0] < 7) return false;
  __cpuid(leaf1, 1);
  __cpuidex(leaf7, 7, 0);
  const auto all = [](int bits, unsigned needed) { return (static_cast<unsigned>(bits) & needed) == needed; };
  return all(leaf1[2], leaf1_ecx | kOsXsave) && all(leaf7[1], leaf7_ebx) && all(leaf7[2], leaf7_ecx) &&
         (_xgetbv(0) & registers) == registers;
}

bool HasAvx2() {
  constexpr unsigned kFma = 1u << 12, kAvx2 = 1u << 5, kYmm = 0x06;
  return Has(kFma, kAvx2, 0, kYmm);
}

bool HasAvx512Vpopcntdq() {
  constexpr unsigned kFDqBwVl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  constexpr unsigned kVnniVpopcntdq = 1u << 11 | 1u << 14, kZmm = 0xe6;
  return Has(0, kFDqBwVl, kVnniVpopcntdq, kZmm);
}
#elif defined(__x86_64__)
bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool HasAvx512Vpopcntdq() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vnni");
}
#elif defined(__arm__) && defined(__linux__)
bool HasNeon() { return (getauxval(AT_HWCAP) & HWCAP_NEON) != 0; }
#elif defined(__arm__)
bool HasNeon() { return false; }  // nothing says so
#endif

// The numbers are Linux's, which older headers lack.
#if defined(KERAS_BNN_SVE2)
bool HasSve2() {
  constexpr unsigned long kSve = 1ul << 22, kSve2 = 1ul << 1;
  return (getauxval(AT_HWCAP) & kSve) != 0 && (getauxval(AT_HWCAP2) & kSve2) != 0;
}

bool HasLongVectors() {
  constexpr int kGetVectorLength = 51, kBytes = 0xffff;
  return HasSve2() && (prctl(kGetVectorLength) & kBytes) > 128 / 8;
}
#endif

#if defined(KERAS_BNN_SME2)
// SME2 and its outer product of bits.
bool HasSme2() {
  constexpr unsigned long kNeeded = 1ul << 37 | 1ul << 40;
  return (getauxval(AT_HWCAP2) & kNeeded) == kNeeded;
}
#endif

struct Entry {
  const KernelSet* set;
  bool (*supported)();
};

// Best first. Those of ARM by the instructions that they need, counted and not timed: for 128 binary
// multiply-accumulates of 3x3 convolutions with packed output NEON takes 3.4 to 4.0 of them, SVE2 3.8 to 4.5 with
// vectors of 128 bits and 1.9 to 2.4 with 256 bits, SME2 0.2 to 0.9 with 512 bits.
constexpr std::array kEntries = {
#if defined(__x86_64__) || defined(_M_X64)
    Entry{&kAvx512VpopcntdqKernels, HasAvx512Vpopcntdq},
    Entry{&kAvx2Kernels, HasAvx2},
#elif defined(__aarch64__)
#if defined(KERAS_BNN_SME2)
    Entry{&kSme2Kernels, HasSme2},
#endif
    Entry{&kNeonKernels, Always},  // part of the architecture
#if defined(KERAS_BNN_SVE2)
    Entry{&kSve2Kernels, HasSve2},
#endif
#elif defined(__arm__)
    Entry{&kNeonKernels, HasNeon},
#endif
    Entry{&kScalarKernels, Always},
};

// Longer vectors put SVE2 before NEON.
std::array<Entry, kEntries.size()> InOrder() {
  auto entries = kEntries;
#if defined(KERAS_BNN_SVE2)
  if (HasLongVectors()) std::swap(entries[entries.size() - 3], entries[entries.size() - 2]);
#endif
  return entries;
}

const std::array<Entry, kEntries.size()>& Entries() {
  static const auto entries = InOrder();
  return entries;
}

std::string SupportedNames() {
  std::string names;
  for (const Entry& entry : Entries()) {
    if (entry.supported()) names += (names.empty() ? "" : ", ") + std::string(entry.set->name);
  }
  return names;
}

}  // namespace

int KernelSetCount() { return static_cast<int>(kEntries.size()); }

const KernelSet& KernelSetAt(int index) { return *Entries()[index].set; }

bool KernelSetSupported(int index) { return Entries()[index].supported(); }

const KernelSet& ChooseKernelSet(const char* name) {
  const bool any = name == nullptr || name[0] == '\0';
  for (const Entry& entry : Entries()) {
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
