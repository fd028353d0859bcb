#include "kernels/kernel_set.h"

#include <gtest/gtest.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/expect_refusal.h"

namespace keras_bnn {
namespace {

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (int i = 0; i < KernelSetCount(); ++i) names.emplace_back(KernelSetAt(i).name);
  return names;
}

bool Supported(const std::string& name) {
  for (int i = 0; i < KernelSetCount(); ++i) {
    if (KernelSetAt(i).name == name) return KernelSetSupported(i);
  }
  ADD_FAILURE() << "no kernel set " << name;
  return false;
}

#if defined(__aarch64__) && defined(KERAS_BNN_SVE2)
// Of more than 128 bits, as the operating system says.
bool HasLongVectors() {
  if (!Supported("sve2")) return false;
  return (prctl(PR_SVE_GET_VL) & PR_SVE_VL_LEN_MASK) > 16;
}
#endif

TEST(KernelSetsTest, EverySetOfTheArchitectureIsBuiltBestFirst) {
#if defined(__x86_64__)
  EXPECT_EQ(Names(), (std::vector<std::string>{"avx512_vpopcntdq", "avx2", "scalar"}));
#elif defined(__aarch64__)
  std::vector<std::string> names = {"neon"};
#if defined(KERAS_BNN_SVE2)
  names.insert(HasLongVectors() ? names.begin() : names.end(), "sve2");
#endif
#if defined(KERAS_BNN_SME2)
  names.insert(names.begin(), "sme2");
#endif
  names.emplace_back("scalar");
  EXPECT_EQ(Names(), names);
#elif defined(__arm__)
  EXPECT_EQ(Names(), (std::vector<std::string>{"neon", "scalar"}));
#else
  EXPECT_EQ(Names(), (std::vector<std::string>{"scalar"}));
#endif
}

TEST(KernelSetsTest, ScalarAlwaysRuns) { EXPECT_TRUE(Supported("scalar")); }

#if defined(__aarch64__)
TEST(KernelSetsTest, NeonAlwaysRuns) { EXPECT_TRUE(Supported("neon")); }
#endif

#if defined(__aarch64__) && defined(__linux__)
// By the names that glibc and Linux have for the bits.
TEST(KernelSetsTest, SupportIsAsTheOperatingSystemSays) {
#if defined(KERAS_BNN_SVE2)
  EXPECT_EQ(Supported("sve2"), (getauxval(AT_HWCAP2) & HWCAP2_SVE2) != 0);
#endif
#if defined(KERAS_BNN_SME2) && defined(HWCAP2_SME2)
  EXPECT_EQ(Supported("sme2"), (getauxval(AT_HWCAP2) & HWCAP2_SME2) != 0);
#endif
}
#endif

#if defined(__x86_64__) && defined(__linux__)
// The kernel's own list of what the CPU and the operating system support.
TEST(KernelSetsTest, SupportIsAsTheOperatingSystemSays) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  std::set<std::string> flags;
  while (flags.empty() && std::getline(file, line)) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) flags.insert(word);
  }
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no flags";
  const auto has = [&](const char* flag) { return flags.count(flag) == 1; };
  EXPECT_EQ(Supported("avx2"), has("avx2") && has("fma"));
  EXPECT_EQ(Supported("avx512_vpopcntdq"),
            has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl") && has("avx512_vpopcntdq"));
}
#endif

TEST(KernelSetsTest, EverySetIsComplete) {
  for (int i = 0; i < KernelSetCount(); ++i) {
    const KernelSet& set = KernelSetAt(i);
    SCOPED_TRACE(set.name);
    EXPECT_EQ(set.binary_pixels % kMaxTilePixels, 0);
    EXPECT_GE(set.binary_pixels, kMaxTilePixels);
    EXPECT_LE(set.binary_pixels, kMaxBinaryPixels);
    EXPECT_GE(set.steps_per_thread, 1);
    EXPECT_NE(set.arrange_channels, nullptr);
    EXPECT_NE(set.accumulate_bits, nullptr);
    EXPECT_NE(set.floats_from_bits, nullptr);
    EXPECT_NE(set.compare_bits, nullptr);
    EXPECT_NE(set.floats.expand, nullptr);
    EXPECT_NE(set.floats.accumulate, nullptr);
    EXPECT_NE(set.bytes.expand, nullptr);
    EXPECT_NE(set.bytes.accumulate, nullptr);
    EXPECT_NE(set.floats_from_int, nullptr);
    EXPECT_NE(set.floats_from_float, nullptr);
    EXPECT_NE(set.bits_from_int, nullptr);
    EXPECT_NE(set.bits_from_float, nullptr);
    EXPECT_NE(set.pack_float, nullptr);
    EXPECT_NE(set.pack_int8, nullptr);
  }
}

TEST(KernelSetsTest, ChoosesTheBestSupportedSetByDefault) {
  int best = 0;
  while (!KernelSetSupported(best)) ++best;
  EXPECT_STREQ(ChooseKernelSet(nullptr).name, KernelSetAt(best).name);
  EXPECT_STREQ(ChooseKernelSet("").name, KernelSetAt(best).name);
}

TEST(KernelSetsTest, ChoosesByName) {
  for (int i = 0; i < KernelSetCount(); ++i) {
    const char* name = KernelSetAt(i).name;
    if (KernelSetSupported(i)) {
      EXPECT_EQ(&ChooseKernelSet(name), &KernelSetAt(i));
    } else {
      EXPECT_REFUSAL(ChooseKernelSet(name), "needs instructions that this CPU lacks; those that run here are: ");
    }
  }
}

TEST(KernelSetsTest, RefusesAnUnknownNameWithTheListOfThoseThatRun) {
  std::string list;
  for (int i = 0; i < KernelSetCount(); ++i) {
    if (KernelSetSupported(i)) list += (list.empty() ? "" : ", ") + std::string(KernelSetAt(i).name);
  }
  EXPECT_REFUSAL(ChooseKernelSet("sse9"), "there is no kernel set \"sse9\"; those that run here are: " + list);
  EXPECT_REFUSAL(ChooseKernelSet("Scalar"), "there is no kernel set \"Scalar\"");
}

}  // namespace
}  // namespace keras_bnn
