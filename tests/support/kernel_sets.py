"""The kernel sets that this machine must be able to run, read from the machine and not from the library under test."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

# Per machine: the name of a kernel set, and the CPU flags (as Linux names them) that it needs.
_NEEDED_FLAGS: dict[str, dict[str, set[str]]] = {
    "x86_64": {
        "scalar": set(),
        "avx2": {"avx2", "fma"},
        "avx512_vpopcntdq": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "avx512_vnni"},
    },
    "aarch64": {"scalar": set(), "neon": set(), "sve2": {"sve2"}, "sme2": {"sme2"}},
    "armv7l": {"scalar": set(), "neon": {"neon"}},
}

# On ARM the flags are bits of two words that Linux hands to each program. QEMU answers for the CPU that it plays there,
# while its /proc/cpuinfo is the host's.
_AT_HWCAP, _AT_HWCAP2 = 16, 26
_ARM_FLAGS = {
    "aarch64": {"sve2": (_AT_HWCAP2, 1), "sme2": (_AT_HWCAP2, 37)},
    "armv7l": {"neon": (_AT_HWCAP, 12)},
}


def _machine() -> str:
    machine = {"AMD64": "x86_64", "arm64": "aarch64", "armv8l": "armv7l"}.get(platform.machine(), platform.machine())
    # A 64-bit kernel may run 32-bit programs, as that of 32-bit Raspberry Pi OS does.
    return "armv7l" if machine == "aarch64" and sys.maxsize < 2**32 else machine


_MACHINE = _machine()
_BUILT_HERE = _NEEDED_FLAGS.get(_MACHINE, {"scalar": set()})

ALL = sorted({name for sets in _NEEDED_FLAGS.values() for name in sets})
BUILT_HERE = sorted(_BUILT_HERE)


def why_unsupported(isa: str) -> str | None:
    """Why this machine cannot run a kernel set; None when it can and the library must."""
    needed = _BUILT_HERE.get(isa)
    if needed is None:
        return f"{isa} kernels are not made for {_MACHINE}"
    missing = needed - _cpu_flags()
    return f"this CPU shows no {', '.join(sorted(missing))}, which {isa} needs" if missing else None


def _cpu_flags() -> set[str]:
    if _MACHINE in _ARM_FLAGS:
        return _arm_flags(_ARM_FLAGS[_MACHINE]) if platform.system() == "Linux" else set()
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return set()
    return {
        flag
        for line in cpuinfo.read_text().splitlines()
        if line.startswith("flags")
        for flag in line.split(":")[1].split()
    }


def _arm_flags(bits: dict[str, tuple[int, int]]) -> set[str]:
    getauxval = ctypes.CDLL(None).getauxval
    getauxval.restype = ctypes.c_ulong
    getauxval.argtypes = [ctypes.c_ulong]
    return {flag for flag, (word, bit) in bits.items() if getauxval(word) >> bit & 1}
