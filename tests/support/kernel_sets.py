"""The kernel sets that this machine must be able to run, read from the machine and not from the library under test."""

from __future__ import annotations

import platform
from pathlib import Path

# Per machine: the name of a kernel set, and the CPU flags (as Linux names them) that it needs.
_NEEDED_FLAGS: dict[str, dict[str, set[str]]] = {
    "x86_64": {
        "scalar": set(),
        "avx2": {"avx2", "fma"},
        "avx512_vpopcntdq": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq", "avx512_vnni"},
    },
    "aarch64": {"scalar": set(), "neon": set()},
}

_MACHINE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
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
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return set()
    return {
        flag
        for line in cpuinfo.read_text().splitlines()
        if line.startswith("flags")
        for flag in line.split(":")[1].split()
    }
