# Cross-compiles for 64-bit ARM Linux with Debian's g++-aarch64-linux-gnu, and runs the tests under QEMU:
#   cmake -S cc_ops -B build-aarch64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
find_program(KERAS_BNN_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(KERAS_BNN_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${KERAS_BNN_QEMU};-L;/usr/aarch64-linux-gnu")
endif()

# Libraries and headers of the target only, programs of the host only.
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
