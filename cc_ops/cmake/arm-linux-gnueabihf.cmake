# Cross-compiles for 32-bit ARM Linux with Debian's g++-arm-linux-gnueabihf, and runs the tests under QEMU:
#   cmake -S cc_ops -B build-armhf -DCMAKE_TOOLCHAIN_FILE=cmake/arm-linux-gnueabihf.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)

set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
find_program(KERAS_BNN_QEMU NAMES qemu-arm-static qemu-arm)
if(KERAS_BNN_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${KERAS_BNN_QEMU};-L;/usr/arm-linux-gnueabihf")
endif()

# Libraries and headers of the target only, programs of the host only.
set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
