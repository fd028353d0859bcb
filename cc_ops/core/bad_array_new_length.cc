// What std::vector of GCC 11 and newer calls when a size overflows, and libstdc++ before GCC 11 lacks. With a
// definition of its own the library runs on systems that are older than the compiler, such as Debian 11; the linker
// keeps it local.
#include <new>

#if defined(__GLIBCXX__) && defined(__linux__)
// NOLINTBEGIN(bugprone-reserved-identifier, bugprone-std-namespace-modification): libstdc++ calls it by this name
namespace std {
__attribute__((visibility("hidden"), noreturn)) void __throw_bad_array_new_length() { throw std::bad_alloc(); }
}  // namespace std
// NOLINTEND(bugprone-reserved-identifier, bugprone-std-namespace-modification)
#endif
