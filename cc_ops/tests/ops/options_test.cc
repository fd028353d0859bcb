#include "ops/options.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "support/expect_refusal.h"
#include "support/flexbuffer_map.h"
#include "support/guarded_array.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kMin = std::numeric_limits<int>::min();
constexpr int kMax = std::numeric_limits<int>::max();

Options Read(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

Bytes FromHex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// {"version": 1, "channels_in": 200, "pad_value": -1, "stride_h": 70000}, as flatbuffers.flexbuffers.Dumps writes it.
Bytes MapOfTheFlatbuffersLibrary() {
  return FromHex(
      "76657273696f6e006368616e6e656c735f696e007061645f76616c7565007374726964655f68000420150c2b04000000010000000400"
      "0000c8000000ffffffff701101000100000006060606142601");
}

TEST(OptionsTest, ReadsMapsOfTheFlatbuffersLibrary) {
  Options options = Read(MapOfTheFlatbuffersLibrary());
  EXPECT_EQ(options.Required("version", 1, 1), 1);
  EXPECT_EQ(options.Required("channels_in", 1, kMax), 200);
  EXPECT_EQ(options.Required("pad_value", -1, 1), -1);
  EXPECT_EQ(options.Required("stride_h", 1, kMax), 70000);
  EXPECT_NO_THROW(options.RefuseUnknownKeys());
}

TEST(OptionsTest, ReadsNumbersOfTwoBytes) {  // Dumps({"version": 1, "channels": 200})
  Options options = Read(FromHex("76657273696f6e006368616e6e656c7300020a13020001000200c80001000505062501"));
  EXPECT_EQ(options.Required("channels", 1, kMax), 200);
  EXPECT_EQ(options.Required("version", 1, 1), 1);
}

TEST(OptionsTest, ReadsUnsignedNumbers) {  // Builder().UInt(200): one byte, whose highest bit is no sign
  Options options = Read(FromHex("76657273696f6e006368616e6e656c7300020a13020102c8010808042401"));
  EXPECT_EQ(options.Required("channels", 1, kMax), 200);
}

TEST(OptionsTest, RefusesUnsignedNumbersThatFitNoInt) {
  Bytes bytes = FlexbufferMap({{"pad_value", -1}}, 8);
  bytes[bytes.size() - 18] = 2 << 2 | 3;  // the type of the one value: unsigned, 8 bytes
  Options options = Read(bytes);
  EXPECT_REFUSAL(options.Optional("pad_value", -1, 1, 0), "the option \"pad_value\" is 9223372036854775807");
}

TEST(OptionsTest, ReadsEveryWidth) {
  for (const int width : {1, 2, 4, 8}) {
    SCOPED_TRACE(width);
    Options options = Read(FlexbufferMap({{"a", -128}, {"bc", 127}, {"def", 0}}, width));
    EXPECT_EQ(options.Required("a", kMin, kMax), -128);
    EXPECT_EQ(options.Required("bc", kMin, kMax), 127);
    EXPECT_EQ(options.Required("def", kMin, kMax), 0);
    options.RefuseUnknownKeys();
  }
}

TEST(OptionsTest, EmptyMapHasNoKeys) {
  Options options = Read(FlexbufferMap({}));
  EXPECT_EQ(options.Optional("stride_h", 1, 9, 3), 3);
  EXPECT_NO_THROW(options.RefuseUnknownKeys());
}

TEST(OptionsTest, RefusesAMissingKey) {
  Options options = Read(FlexbufferMap({{"version", 1}}));
  EXPECT_REFUSAL(options.Required("channels_in", 1, kMax), "the option \"channels_in\" is missing");
}

TEST(OptionsTest, RefusesValuesOutOfRange) {
  Options options = Read(FlexbufferMap({{"groups", 0}, {"pad_value", -2}, {"stride_h", std::int64_t{1} << 32}}, 8));
  EXPECT_REFUSAL(options.Required("groups", 1, 64), "the option \"groups\" is 0; expected 1 to 64");
  EXPECT_REFUSAL(options.Optional("pad_value", -1, 1, 0), "the option \"pad_value\" is -2; expected -1 to 1");
  EXPECT_REFUSAL(options.Optional("stride_h", 1, kMax, 1), "the option \"stride_h\" is 4294967296");
}

TEST(OptionsTest, AcceptsTheEndsOfARange) {
  Options options = Read(FlexbufferMap({{"low", kMin}, {"high", kMax}}));
  EXPECT_EQ(options.Required("low", kMin, kMax), kMin);
  EXPECT_EQ(options.Required("high", kMin, kMax), kMax);
}

TEST(OptionsTest, RefusesKeysThatNobodyAskedFor) {
  Options options = Read(FlexbufferMap({{"version", 1}, {"sparsity", 1}}));
  options.Required("version", 1, 1);
  EXPECT_REFUSAL(options.RefuseUnknownKeys(), "the option \"sparsity\" is not known");
}

TEST(OptionsTest, RefusesAKeyThatComesTwice) {
  Bytes bytes = FlexbufferMap({{"versiom", 2}, {"version", 1}});
  bytes[6] = 'n';
  Options options = Read(bytes);
  options.Required("version", 1, 2);
  EXPECT_REFUSAL(options.RefuseUnknownKeys(), "\"version\"");
}

TEST(OptionsTest, RefusesOtherTypes) {
  EXPECT_REFUSAL(Read(FromHex("76657273696f6e00010900000300000001000000010000000000803f0e052601")),  // {"version": 1.0}
                 "the option \"version\" is no integer");
  EXPECT_REFUSAL(Read(FromHex("0201020404042801")), "no flexbuffer map of integers");  // [1, 2]
}

TEST(OptionsTest, RefusesNothingAtAll) {
  EXPECT_REFUSAL(Options(nullptr, 0), "no flexbuffer map of integers");
  const Bytes zeros(64, 0);
  for (std::size_t size = 0; size <= zeros.size(); ++size) EXPECT_THROW(Options(zeros.data(), size), Refusal);
}

// Reads all that a damaged map may hold; anything but a Refusal ends the test, and so does reading past the bytes.
bool IsRead(const Bytes& damaged) {
  const GuardedArray<std::uint8_t> bytes(damaged, Edge::kAfter);
  try {
    Options options(bytes.data(), bytes.size());
    options.Required("version", 1, 1);
    options.Optional("pad_value", -1, 1, 0);
    options.RefuseUnknownKeys();
    return true;
  } catch (const Refusal&) {
    return false;
  }
}

TEST(OptionsTest, RefusesBytesThatAreCutShort) {
  for (const Bytes& whole : {MapOfTheFlatbuffersLibrary(), FlexbufferMap({{"version", 1}, {"pad_value", 0}}, 8)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(IsRead({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)})) << size << " bytes";
      EXPECT_FALSE(IsRead({whole.end() - static_cast<std::ptrdiff_t>(size), whole.end()})) << "last " << size;
    }
  }
}

TEST(OptionsTest, SurvivesDamagedBytes) {
  const Bytes originals[] = {FlexbufferMap({{"version", 1}, {"pad_value", 0}}, 1), FlexbufferMap({{"version", 1}}, 2),
                             FlexbufferMap({{"version", 1}, {"pad_value", -1}}, 8), FlexbufferMap({{"version", 1}}, 4)};
  Random random(1);
  int read = 0;
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = originals[random.Int(0, 3)];
    const int changes = random.Int(1, 4);
    for (int change = 0; change < changes; ++change) {
      const int at = random.Int(0, static_cast<int>(bytes.size()) - 1);
      switch (random.Int(0, 3)) {
        case 0:
          bytes[at] = static_cast<std::uint8_t>(random.Bits());
          break;
        case 1:
          bytes[at] ^= static_cast<std::uint8_t>(1 << random.Int(0, 7));
          break;
        case 2:
          bytes[at] = random.OneIn(2) ? 0xff : 0x80;
          break;
        default:
          bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random.Bits()));
      }
    }
    ++(IsRead(bytes) ? read : refused);
  }
  EXPECT_GT(read, 0);  // or the changes were too coarse to reach the inner parts of the reader
  EXPECT_GT(refused, 10000);
}

TEST(OptionsTest, ValuesThatAnIntCannotHold) {
  constexpr std::int64_t kMost = 0xfffffffffffffff;  // 15 hexadecimal digits
  const Bytes bytes = FlexbufferMap({{"large", kMost}, {"negative", -1}}, 8);
  Options options(bytes.data(), bytes.size());
  EXPECT_EQ(options.OptionalInt64("large", 0, kMost, 0), kMost);
  EXPECT_EQ(options.OptionalInt64("absent", 0, kMost, 7), 7);
  EXPECT_REFUSAL(options.OptionalInt64("large", 0, kMost - 1, 0),
                 "the option \"large\" is 1152921504606846975; expected 0 to 1152921504606846974");
  EXPECT_REFUSAL(options.OptionalInt64("negative", 0, kMost, 0), "the option \"negative\" is -1; expected 0 to");
}

TEST(OptionsTest, SurvivesRandomBytes) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random.Int(0, 40));
    for (std::uint8_t& byte : bytes)
      byte = static_cast<std::uint8_t>(random.OneIn(2) ? random.Bits() : random.Bits() % 9);
    if (bytes.size() >= 3) {
      bytes[bytes.size() - 1] = static_cast<std::uint8_t>(1 << random.Int(0, 3));
      bytes[bytes.size() - 2] = static_cast<std::uint8_t>(9 << 2 | random.Int(0, 3));
    }
    IsRead(bytes);
  }
}

}  // namespace
}  // namespace keras_bnn
