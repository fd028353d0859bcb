// What the examples share: errors, files, the printing of values.
#ifndef PROGRAM_H_
#define PROGRAM_H_

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

[[noreturn]] __attribute__((format(printf, 1, 2))) inline void Fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(stderr, "error: ");
  std::vfprintf(stderr, format, arguments);
  std::fprintf(stderr, "\n");
  va_end(arguments);
  std::exit(1);
}

inline std::vector<char> ReadFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) Fail("cannot open %s", path.c_str());
  std::vector<char> bytes;
  char block[1 << 16];
  for (std::size_t read = 0; (read = std::fread(block, 1, sizeof(block), file)) > 0;) {
    bytes.insert(bytes.end(), block, block + read);
  }
  std::fclose(file);
  return bytes;
}

// Loads a library: that at `path` or, without one, the first of `names` that the system's loader finds.
inline void* OpenLibrary(const std::string& path, const std::vector<std::string>& names) {
  for (const std::string& name : path.empty() ? names : std::vector<std::string>{path}) {
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    if (!path.empty()) Fail("%s", dlerror());
  }
  Fail("the loader finds no %s; pass its path with --runtime", names[0].c_str());
}

template <typename Function>
void Load(void* library, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(library, name));
  if (*function == nullptr) Fail("the runtime library does not export %s", name);
}

template <typename T>
void PrintAs(const char* format, const void* values, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes / sizeof(T); ++i) std::printf(format, static_cast<const T*>(values)[i]);
}

// Prints the values of a tensor on a line. `type` is a number that TensorFlow Lite and LiteRT have in common.
inline void PrintValues(int type, const void* values, std::size_t bytes) {
  switch (type) {
    case 1:
      PrintAs<float>("%.9g ", values, bytes);  // enough digits to tell each float from the others
      break;
    case 2:
      PrintAs<std::int32_t>("%d ", values, bytes);
      break;
    case 3:
      PrintAs<std::uint8_t>("%d ", values, bytes);
      break;
    case 9:
      PrintAs<std::int8_t>("%d ", values, bytes);
      break;
    default:
      Fail("an output has values of type %d; this example prints float32, int32, uint8 and int8", type);
  }
  std::printf("\n");
}

// The median time of a call, in microseconds.
template <typename Function>
double MedianMicroseconds(int calls, const Function& function) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    const Clock::time_point begin = Clock::now();
    function();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// The command line of an example, whose usage names the options that it takes.
struct Arguments {
  std::string model, runtime, input;
  bool custom_ops = false;
  int threads = 1;
};

inline Arguments ReadArguments(int argc, char** argv, const char* usage) {
  Arguments arguments;
  const auto quit = [&] {
    std::fputs(usage, stderr);
    std::exit(2);
  };
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&] {
      if (i + 1 == argc) quit();
      return std::string(argv[++i]);
    };
    if (argument[0] == '-' && std::strstr(usage, (argument + " ").c_str()) == nullptr) quit();
    if (argument == "--runtime") {
      arguments.runtime = value();
    } else if (argument == "--input") {
      arguments.input = value();
    } else if (argument == "--threads") {
      arguments.threads = std::atoi(value().c_str());
    } else if (argument == "--custom-ops") {
      arguments.custom_ops = true;
    } else if (!arguments.model.empty()) {
      quit();
    } else {
      arguments.model = argument;
    }
  }
  if (arguments.model.empty() || arguments.threads < 1) quit();
  return arguments;
}

// The bytes of --input, as many inputs of the model one after the other; without it, one input of zeros.
inline std::vector<char> ReadInputs(const Arguments& arguments, std::size_t bytes) {
  if (arguments.input.empty()) return std::vector<char>(bytes);
  std::vector<char> values = ReadFile(arguments.input);
  if (values.empty() || values.size() % bytes != 0) {
    Fail("%s has %zu bytes; expected a multiple of the %zu of the model's input", arguments.input.c_str(),
         values.size(), bytes);
  }
  return values;
}

#endif  // PROGRAM_H_
