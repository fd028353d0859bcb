#include "ops/op.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"

namespace keras_bnn {
namespace {

// The smallest options of each op.
const std::map<std::string, OptionMap> kOps = {
    {"BnnQuantize", {{"version", 1}}},
    {"BnnDequantize", {{"version", 1}, {"channels", 40}}},
    {"BnnConv2D", {{"version", 1}, {"channels_in", 40}, {"padding", 0}}},
    {"BnnDepthwiseConv2D", {{"version", 1}, {"channels_in", 40}, {"padding", 0}}},
    {"BnnFullyConnected", {{"version", 1}, {"channels_in", 40}}},
    {"BnnTransposeConv2D", {{"version", 1}, {"channels_in", 40}}},
    {"BnnMaxPool2D", {{"version", 1}, {"window_h", 2}, {"window_w", 2}, {"padding", 0}}},
};

// All options of each op of Larq Compute Engine's files.
const std::map<std::string, OptionMap> kLceOps = {
    {"LceQuantize", {}},
    {"LceDequantize", {}},
    {"LceBconv2d",
     {{"channels_in", 40},
      {"dilation_height_factor", 1},
      {"dilation_width_factor", 1},
      {"fused_activation_function", 0},
      {"pad_values", 0},
      {"padding", 0},
      {"stride_height", 1},
      {"stride_width", 1}}},
    {"LceBMaxPool2d",
     {{"filter_height", 2}, {"filter_width", 2}, {"padding", 0}, {"stride_height", 2}, {"stride_width", 2}}},
};

TEST(OpTest, KnowsTheOpsOfTheFormat) {
  for (const auto& [name, options] : kOps) EXPECT_TRUE(IsOp(name.c_str())) << name;
  for (const char* name : {"", "Bnn", "BnnConv2", "BnnConv2DD", "bnnconv2d", "LceBconv2", "Lcebconv2d"})
    EXPECT_FALSE(IsOp(name));
  EXPECT_FALSE(IsOp(nullptr));
}

TEST(OpTest, RefusesAnOpThatTheFormatLacks) {
  EXPECT_REFUSAL(MakeOpWith("BnnSoftmax", {{"version", 1}}), "there is no op of this name in the file format");
}

TEST(OpTest, MakesEveryOpFromItsSmallestOptions) {
  for (const auto& [name, options] : kOps) EXPECT_NE(MakeOpWith(name.c_str(), options), nullptr) << name;
}

TEST(OpTest, RefusesEveryMissingKey) {
  for (const auto& [name, options] : kOps) {
    for (const auto& entry : options) {
      SCOPED_TRACE(name);
      EXPECT_REFUSAL(MakeOpWith(name.c_str(), Without(options, entry.first.c_str())),
                     "the option \"" + entry.first + "\" is missing");
    }
  }
}

TEST(OpTest, RefusesAnUnknownKey) {
  for (const auto& [name, options] : kOps) {
    SCOPED_TRACE(name);
    EXPECT_REFUSAL(MakeOpWith(name.c_str(), With(options, {{"layout", 1}})), "the option \"layout\" is not known");
  }
}

TEST(OpTest, RefusesOtherVersions) {
  for (const auto& [name, options] : kOps) {
    SCOPED_TRACE(name);
    EXPECT_REFUSAL(MakeOpWith(name.c_str(), With(options, {{"version", 2}})),
                   "the op is of format version 2; this library reads version 1, install a newer one");
    EXPECT_REFUSAL(MakeOpWith(name.c_str(), With(options, {{"version", 0}})), "the option \"version\" is 0");
  }
}

TEST(OpTest, RefusesDamagedOptions) {
  const Bytes bytes = {1, 2, 3};
  for (const auto& [name, options] : kOps) {
    SCOPED_TRACE(name);
    EXPECT_REFUSAL(MakeOp(name.c_str(), bytes.data(), bytes.size()), "the options are no flexbuffer map of integers");
    EXPECT_REFUSAL(MakeOp(name.c_str(), nullptr, 0), "the options are no flexbuffer map of integers");
  }
}

TEST(OpTest, RefusesOptionsOutOfRange) {
  const struct {
    const char* op;
    const char* key;
    std::int64_t value;
  } kBad[] = {
      {"BnnDequantize", "channels", 0},
      {"BnnFullyConnected", "channels_in", 0},
      {"BnnFullyConnected", "activation", 4},
      {"BnnFullyConnected", "pre_activation", -1},
      {"BnnMaxPool2D", "window_h", 0},
      {"BnnMaxPool2D", "window_w", -1},
      {"BnnMaxPool2D", "stride_h", 0},
      {"BnnMaxPool2D", "stride_w", 0},
      {"BnnMaxPool2D", "padding", 2},
      {"BnnConv2D", "channels_in", -40},
      {"BnnConv2D", "groups", 0},
      {"BnnConv2D", "stride_h", 0},
      {"BnnConv2D", "stride_w", -1},
      {"BnnConv2D", "dilation_h", 0},
      {"BnnConv2D", "dilation_w", 0},
      {"BnnConv2D", "padding", 3},
      {"BnnConv2D", "pad_top", 1},  // padding is SAME
      {"BnnConv2D", "pad_value", 2},
      {"BnnConv2D", "activation", 4},
      {"BnnConv2D", "pre_activation", 9},
      {"BnnConv2D", "steps", -1},
      {"BnnFullyConnected", "steps", -2},
  };
  for (const auto& [op, key, value] : kBad) {
    SCOPED_TRACE(std::string(op) + " " + key);
    EXPECT_REFUSAL(MakeOpWith(op, With(kOps.at(op), {{key, value}})),
                   "the option \"" + std::string(key) + "\" is " + std::to_string(value) + "; expected ");
  }
  for (const char* pad : {"pad_top", "pad_bottom", "pad_left", "pad_right"}) {
    EXPECT_REFUSAL(MakeOpWith("BnnConv2D", With(kOps.at("BnnConv2D"), {{"padding", 2}, {pad, -1}})), pad);
    EXPECT_NE(MakeOpWith("BnnConv2D", With(kOps.at("BnnConv2D"), {{"padding", 2}, {pad, 1}})), nullptr);
  }
}

TEST(OpTest, NamesAndSizesOfElementTypes) {
  EXPECT_STREQ(NameOf(ElementType::kFloat32), "float32");
  EXPECT_STREQ(NameOf(ElementType::kInt32), "int32");
  EXPECT_STREQ(NameOf(ElementType::kInt8), "int8");
  EXPECT_STREQ(NameOf(ElementType::kUInt8), "uint8");
  EXPECT_EQ(BytesOf(ElementType::kFloat32), 4);
  EXPECT_EQ(BytesOf(ElementType::kInt32), 4);
  EXPECT_EQ(BytesOf(ElementType::kInt8), 1);
  EXPECT_EQ(BytesOf(ElementType::kUInt8), 1);
}

TEST(OpTest, MakesTheOpsOfLarqComputeEngine) {
  for (const auto& [name, options] : kLceOps) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(IsOp(name.c_str()));
    EXPECT_NE(MakeOpWith(name.c_str(), options), nullptr);
    EXPECT_REFUSAL(MakeOpWith(name.c_str(), With(options, {{"layout", 1}})), "the option \"layout\" is not known");
    for (const auto& entry : options) {
      EXPECT_REFUSAL(MakeOpWith(name.c_str(), Without(options, entry.first.c_str())),
                     "the option \"" + entry.first + "\" is missing");
    }
  }
}

// Larq writes no options at all where an op has none; in the format they hold the version.
TEST(OpTest, OnlyOpsOfLarqComputeEngineGoWithoutOptions) {
  EXPECT_NE(MakeOp("LceQuantize", nullptr, 0), nullptr);
  EXPECT_NE(MakeOp("LceDequantize", nullptr, 0), nullptr);
  EXPECT_REFUSAL(MakeOp("LceBMaxPool2d", nullptr, 0), "the option \"filter_height\" is missing");
  EXPECT_REFUSAL(MakeOp("BnnQuantize", nullptr, 0), "the options are no flexbuffer map of integers");
}

// A runtime compares the bytes of a constant with its shape, but not where the file calls it sparse.
TEST(OpTest, RefusesAConstantXThatEndsEarlyOrLiesBetweenWords) {
  const std::vector<Word> words(64, 0);
  const auto constant = [&](std::vector<int> dims, std::size_t count) {
    TensorInfo info = Constant(ElementType::kInt32, std::move(dims), words);
    info.constant_bytes = count * sizeof(Word);
    return info;
  };
  const std::map<std::string, std::vector<TensorInfo>> parameters = {
      {"BnnDequantize", {}},
      {"BnnConv2D", {constant({3, 1, 1, 2}, 6), constant({3}, 3)}},
      {"BnnDepthwiseConv2D", {constant({1, 1, 2}, 2), constant({40}, 40)}},
      {"BnnFullyConnected", {constant({3, 2}, 6), constant({3}, 3)}},
      {"BnnTransposeConv2D", {constant({3, 1, 1, 2}, 6), constant({3}, 3)}},
      {"BnnMaxPool2D", {}},
      {"LceDequantize", {}},
      {"LceBconv2d", {constant({3, 1, 1, 2}, 6), constant({3}, 3), constant({3}, 3), constant({3}, 3)}},
      {"LceBMaxPool2d", {}},
  };
  OpHarness harness;
  for (const auto& [name, others] : parameters) {
    SCOPED_TRACE(name);
    const bool from_larq = kLceOps.count(name) > 0;
    const std::unique_ptr<Op> op = MakeOpWith(name.c_str(), from_larq ? kLceOps.at(name) : kOps.at(name));
    const bool unpacks = name == "BnnDequantize" || name == "LceDequantize";
    const TensorInfo y = Variable(unpacks ? ElementType::kFloat32 : ElementType::kInt32, {1, 2, 2, 40});
    std::vector<TensorInfo> inputs = others;
    if (name == "LceBconv2d") inputs[1].absent = inputs[2].absent = true;
    inputs.insert(inputs.begin(), constant({1, 2, 2, 2}, 7));
    EXPECT_REFUSAL(harness.Prepare(op.get(), inputs, {y}),
                   "the input holds 28 bytes; expected 32 for the shape [1, 2, 2, 2]");
    inputs[0] = constant({1, 2, 2, 2}, 8);
    EXPECT_NO_THROW(harness.Prepare(op.get(), inputs, {y}));
    inputs[0].constant = reinterpret_cast<const char*>(words.data()) + 1;
    EXPECT_REFUSAL(harness.Prepare(op.get(), inputs, {y}), "the input lies at an address that is no multiple of 4");
  }
  const std::unique_ptr<Op> quantize = MakeOpWith("BnnQuantize", kOps.at("BnnQuantize"));
  TensorInfo x = Variable(ElementType::kInt8, {2, 40});
  x.constant = words.data();
  x.constant_bytes = 79;
  EXPECT_REFUSAL(harness.Prepare(quantize.get(), {x}, ElementType::kInt32), "the input holds 79 bytes; expected 80");
}

}  // namespace
}  // namespace keras_bnn
