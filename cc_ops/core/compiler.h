// What the compilers have beyond C++17: GCC and Clang one spelling, Microsoft's another.
#ifndef KERAS_BNN_CORE_COMPILER_H_
#define KERAS_BNN_CORE_COMPILER_H_

#if defined(__GNUC__) || defined(__clang__)
#define KERAS_BNN_GNU  // vector types and inline assembly too
#define KERAS_BNN_ALWAYS_INLINE inline __attribute__((always_inline))
#define KERAS_BNN_NEVER_INLINE __attribute__((noinline))
#define KERAS_BNN_UNREACHABLE() __builtin_unreachable()
#if defined(__MINGW32__) && !defined(__clang__)  // whose printf is GNU's in C++, and whose attribute is Microsoft's
#define KERAS_BNN_LIKE_PRINTF(text, values) __attribute__((format(gnu_printf, text, values)))
#else
#define KERAS_BNN_LIKE_PRINTF(text, values) __attribute__((format(printf, text, values)))
#endif
#else
#define KERAS_BNN_ALWAYS_INLINE __forceinline
#define KERAS_BNN_NEVER_INLINE __declspec(noinline)
#define KERAS_BNN_UNREACHABLE() __assume(0)
#define KERAS_BNN_LIKE_PRINTF(text, values)
#endif

#endif  // KERAS_BNN_CORE_COMPILER_H_
