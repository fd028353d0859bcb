// What the kernel set "sme2" owes to callers that use the matrix unit themselves.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/kernel_set.h"

namespace keras_bnn {
namespace {

#define KERAS_BNN_TPIDR2_EL0 "s3_3_c13_c0_5"
#define KERAS_BNN_SVCR "s3_3_c4_c2_2"

// Where a function that uses the tiles saves those of its caller.
struct Tpidr2Block {
  void* za_save_buffer;
  std::uint16_t num_za_save_slices;
  std::uint8_t reserved[6];
};

const KernelSet* SupportedSme2() {
  for (int i = 0; i < KernelSetCount(); ++i) {
    if (&KernelSetAt(i) == &kSme2Kernels) return KernelSetSupported(i) ? &kSme2Kernels : nullptr;
  }
  return nullptr;
}

TEST(Sme2Test, SavesTheTilesOfACallerAndLeavesTheUnitOff) {
  const KernelSet* set = SupportedSme2();
  if (set == nullptr) GTEST_SKIP() << "the kernel set sme2 needs instructions that this CPU lacks";
  std::uint64_t bytes;  // of a streaming vector, and their number in ZA
  __asm__(".arch_extension sme\n rdsvl %0, #1" : "=r"(bytes));
  std::vector<std::uint8_t> tiles(bytes * bytes), saved(bytes * bytes);
  for (std::size_t i = 0; i < tiles.size(); ++i) tiles[i] = static_cast<std::uint8_t>(i * 7 + i / bytes);
  const std::vector<Word> x(1, 5), kernel(kBlockChannels, 1);
  const std::vector<const Word*> rows(kMaxTilePixels, x.data());
  const std::vector<std::int32_t> values(kBlockChannels, 32);
  constexpr int kValueRows[kMaxTilePixels] = {};
  std::vector<std::int32_t> acc(2 * kBlockChannels);
  Tpidr2Block block = {saved.data(), static_cast<std::uint16_t>(bytes), {}};
  const std::uint8_t* row = tiles.data();
  __asm__ volatile(
      ".arch_extension sme\n"
      "smstart za\n"
      "mov w12, #0\n"
      "0: ldr za[w12, 0], [%0]\n"
      "add %0, %0, %1\n"
      "add w12, w12, #1\n"
      "cmp w12, %w1\n"
      "b.lt 0b\n"
      "msr " KERAS_BNN_TPIDR2_EL0 ", %2\n"
      : "+r"(row)
      : "r"(bytes), "r"(&block)
      : "x12", "cc", "memory");

  set->accumulate_bits({rows.data(), 2, 1, 1, kernel.data(), values.data(), kValueRows}, acc.data());

  std::uint64_t left, modes;
  __asm__ volatile("mrs %0, " KERAS_BNN_TPIDR2_EL0 "\n mrs %1, " KERAS_BNN_SVCR : "=r"(left), "=r"(modes)::"memory");
  EXPECT_EQ(left, 0u);
  EXPECT_EQ(modes, 0u);
  EXPECT_EQ(saved, tiles);
  EXPECT_EQ(acc, std::vector<std::int32_t>(2 * kBlockChannels, 30));
}

}  // namespace
}  // namespace keras_bnn
