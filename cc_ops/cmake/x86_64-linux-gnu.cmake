# Compiles for x86-64 Linux with the compiler that Debian calls by this name, on any machine; the benchmark of
# instructions runs under QEMU what comes of it:
#   cmake -S cc_ops -B build-x86_64 -DCMAKE_TOOLCHAIN_FILE=cmake/x86_64-linux-gnu.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER x86_64-linux-gnu-g++)
