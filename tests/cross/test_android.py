"""The sources as Android's compiler takes them, and the functions that they ask of its C library from API 21 on.

Android's own headers come with the NDK alone. Clang compiles for Android here against LLVM's C++ library, which is the
NDK's, and glibc's headers; a function that only glibc has is found by its name, which must be in a reviewed list.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import c_functions

pytestmark = pytest.mark.cross

_SOURCES = Path(__file__).resolve().parents[2] / "cc_ops"
_CPP_HEADERS = Path("/usr/lib/llvm-19/include/c++/v1")
_JNI = "java/src/main/jni/bnn_delegate_jni.cc"

# Target of clang, folders of glibc's headers, further flags.
_ABIS = {
    "arm64-v8a": ("aarch64-linux-android21", ["/usr/aarch64-linux-gnu/include"], []),
    # glibc's headers ask whether floats are passed in registers, which they are not on Android.
    "armeabi-v7a": ("armv7a-linux-androideabi21", ["/usr/arm-linux-gnueabihf/include"], ["-D__ARM_PCS_VFP=1"]),
    "x86_64": ("x86_64-linux-android21", ["/usr/include/x86_64-linux-gnu", "/usr/include"], []),
}

# The C++ library's, which the NDK links into ours, and the compiler's own.
_RUNTIME = re.compile(
    r"_Z\w+|__cxa_(?!atexit|finalize)\w+|_Unwind_\w+|__gxx_personality_v0|__dso_handle|__aeabi_\w+|__emutls_\w+|__cpu_\w+"
)
_CPP_INLINE = {"ceilf", "pthread_create", "pthread_setspecific", "wmemchr"}  # what its inline functions call
_CHECKED = {"__memcpy_chk", "__memset_chk", "__vsnprintf_chk"}  # on Android they have glibc's names and arguments


def _functions_asked_for(abi: str, folder: Path) -> set[str]:
    """Compiles all sources, warnings as errors; returns what they ask others for."""
    target, headers, flags = _ABIS[abi]
    for program in ("clang++-19", "cmake", "javac", "llvm-nm-19", "ninja"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    for path in (_CPP_HEADERS, *map(Path, headers)):
        if not path.is_dir():
            pytest.skip(f"{path} is missing (packages libc++-19-dev, g++-aarch64-linux-gnu, g++-arm-linux-gnueabihf)")
    (folder / "android").mkdir(parents=True)
    (folder / "android" / "api-level.h").touch()
    (folder / "xlocale.h").write_text("#include <locale.h>\n")  # which declares its types on Android
    include = [argument for path in (_CPP_HEADERS, folder, *headers) for argument in ("-isystem", str(path))]
    build = folder / "build"
    configure = [
        *("cmake", "-S", _SOURCES, "-B", build, "-G", "Ninja", "-DCMAKE_SYSTEM_NAME=Linux"),
        *("-DCMAKE_CXX_COMPILER=clang++-19", f"-DCMAKE_CXX_COMPILER_TARGET={target}"),
        *("-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", "-DCMAKE_BUILD_TYPE=Check"),
        f"-DCMAKE_CXX_FLAGS={' '.join(['-O1', '-nostdlibinc', '-nostdinc++', *include, *flags])}",
        *("-DKERAS_BNN_WERROR=ON", "-DKERAS_BNN_BUILD_JNI=ON"),
    ]
    objects = ["keras_bnn_objects", f"CMakeFiles/keras_bnn.dir/{_JNI}.o"]
    for command in (configure, ["cmake", "--build", build, "--target", *objects]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
    names = ["llvm-nm-19", "--format=just-symbols", *sorted(build.rglob("*.o"))]
    undefined, defined = (
        set(subprocess.run([*names, which], capture_output=True, text=True, check=True).stdout.split())
        for which in ("--undefined-only", "--defined-only")
    )
    return {name for name in undefined - defined if not name.endswith(":")}


@pytest.mark.parametrize("abi", _ABIS)
def test_asks_for_what_android_has(abi: str, tmp_path: Path) -> None:
    asked = {name for name in _functions_asked_for(abi, tmp_path / "check") if not _RUNTIME.fullmatch(name)}
    assert {"getenv", "pthread_atfork", "__stack_chk_fail"} <= asked
    assert asked - c_functions.ALLOWED - _CPP_INLINE - _CHECKED == set()
