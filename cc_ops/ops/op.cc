#include "ops/op.h"

#include <cstring>
#include <iterator>
#include <map>
#include <string>

#include "core/refusal.h"
#include "ops/options.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

constexpr int kFormatVersion = 1;

enum class Origin { kFormat, kLarq };

struct Entry {
  const char* name;
  Origin origin;
  std::unique_ptr<Op> (*make)(Options* options);
};

constexpr Entry kEntries[] = {
    {"BnnQuantize", Origin::kFormat, MakeQuantize},
    {"BnnDequantize", Origin::kFormat, MakeDequantize},
    {"BnnMaxPool2D", Origin::kFormat, MakeMaxPool2D},
    {"BnnConv2D", Origin::kFormat, MakeConv2D},
    {"BnnDepthwiseConv2D", Origin::kFormat, MakeDepthwiseConv2D},
    {"BnnFullyConnected", Origin::kFormat, MakeFullyConnected},
    {"BnnTransposeConv2D", Origin::kFormat, MakeTransposeConv2D},
    {"LceQuantize", Origin::kLarq, MakeQuantize},
    {"LceDequantize", Origin::kLarq, MakeLceDequantize},
    {"LceBconv2d", Origin::kLarq, MakeLceBConv2D},
    {"LceBMaxPool2d", Origin::kLarq, MakeLceBMaxPool2D},
};

static_assert(std::size(kEntries) == kOpCount, "kOpCount is the number of entries");

const Entry* FindEntry(const char* name) {
  for (const Entry& entry : kEntries) {
    if (name != nullptr && std::strcmp(name, entry.name) == 0) return &entry;
  }
  return nullptr;
}

void CheckVersion(Options* options) {
  const int version = options->Required("version", 1, 1 << 30);
  if (version == kFormatVersion) return;
  Refuse("the op is of format version %d; this library reads version %d, install a newer one", version, kFormatVersion);
}

}  // namespace

const char* NameOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kUInt8:
      return "uint8";
    case ElementType::kInt8:
      return "int8";
    case ElementType::kOther:
      break;
  }
  return "another type";
}

int BytesOf(ElementType type) { return type == ElementType::kFloat32 || type == ElementType::kInt32 ? 4 : 1; }

const char* OpName(int index) { return kEntries[index].name; }

bool IsOp(const char* name) { return FindEntry(name) != nullptr; }

std::unique_ptr<Op> MakeOp(const char* name, const std::uint8_t* bytes, std::size_t size) {
  const Entry* entry = FindEntry(name);
  if (entry == nullptr) Refuse("there is no op of this name in the file format");
  // Larq's ops have no version, and those without options no map.
  const bool no_map = entry->origin == Origin::kLarq && size == 0;
  Options options = no_map ? Options(std::map<std::string, std::int64_t>()) : Options(bytes, size);
  if (entry->origin == Origin::kFormat) CheckVersion(&options);
  std::unique_ptr<Op> op = entry->make(&options);
  options.RefuseUnknownKeys();
  return op;
}

}  // namespace keras_bnn
