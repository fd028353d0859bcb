#include "ops/op.h"

#include <cstring>

#include "core/refusal.h"
#include "ops/options.h"
#include "ops/registry.h"

namespace keras_bnn {
namespace {

constexpr int kFormatVersion = 1;

struct Entry {
  const char* name;
  std::unique_ptr<Op> (*make)(Options* options);
};

constexpr Entry kEntries[] = {
    {"BnnQuantize", MakeQuantize},
    {"BnnDequantize", MakeDequantize},
    {"BnnMaxPool2D", MakeMaxPool2D},
    {"BnnConv2D", MakeConv2D},
    {"BnnDepthwiseConv2D", MakeDepthwiseConv2D},
    {"BnnFullyConnected", MakeFullyConnected},
    {"BnnTransposeConv2D", MakeTransposeConv2D},
};

const Entry* FindEntry(const char* name) {
  for (const Entry& entry : kEntries) {
    if (name != nullptr && std::strcmp(name, entry.name) == 0) return &entry;
  }
  return nullptr;
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

bool IsOp(const char* name) { return FindEntry(name) != nullptr; }

std::unique_ptr<Op> MakeOp(const char* name, const std::uint8_t* bytes, std::size_t size) {
  const Entry* entry = FindEntry(name);
  if (entry == nullptr) Refuse("there is no op of this name in the file format");
  Options options(bytes, size);
  const int version = options.Required("version", 1, 1 << 30);
  if (version != kFormatVersion) {
    Refuse("the op is of format version %d; this library reads version %d, install a newer one", version,
           kFormatVersion);
  }
  std::unique_ptr<Op> op = entry->make(&options);
  options.RefuseUnknownKeys();
  return op;
}

}  // namespace keras_bnn
