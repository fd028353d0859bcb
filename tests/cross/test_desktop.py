"""The library for macOS and Windows, compiled and linked by Zig's Clang, which has their headers."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cross

_SOURCES = Path(__file__).resolve().parents[2] / "cc_ops"
_HEADERS = "".join(path.read_text() for path in (_SOURCES / "include" / "keras_bnn").glob("*.h"))
_INTERFACE = set(re.findall(r"^KERAS_BNN_EXPORT .*?(\w+)\(", _HEADERS, re.MULTILINE))


def _build(target: str, system: str, folder: Path) -> Path:
    """Builds the library, warnings as errors; returns the build folder."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed: pip install ziglang")
    for program in ("cmake", "llvm-readobj-19", "ninja"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    tools = {
        "C_COMPILER": f"cc -target {target}",
        "CXX_COMPILER": f"c++ -target {target}",
        "AR": "ar",
        "RANLIB": "ranlib",
    }
    options = [f"-DCMAKE_SYSTEM_NAME={system}", "-DKERAS_BNN_WERROR=ON"]
    for variable, command in tools.items():
        path = folder / variable
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m ziglang {command} "$@"\n')
        path.chmod(0o755)
        options.append(f"-DCMAKE_{variable}={path}")
    build = folder / "build"
    for command in (
        ["cmake", "-S", _SOURCES, "-B", build, "-G", "Ninja", *options],
        ["cmake", "--build", build, "--target", "keras_bnn"],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
    return build


def _read(library: Path, *options: str) -> str:
    return subprocess.run(["llvm-readobj-19", *options, library], capture_output=True, text=True, check=True).stdout


def test_windows(tmp_path: Path) -> None:
    library = _build("x86_64-windows-gnu", "Windows", tmp_path) / "keras_bnn.dll"
    assert set(re.findall(r"Name: (\w+)", _read(library, "--coff-exports").partition("Export {")[2])) == _INTERFACE
    # Windows' own libraries, and no other.
    needed = set(re.findall(r"Import \{\n +Name: (\S+)", _read(library, "--coff-imports")))
    assert needed
    assert [name for name in needed if not re.fullmatch(r"KERNEL32\.dll|api-ms-win-crt-[\w-]+\.dll", name)] == []


def test_macos(tmp_path: Path) -> None:
    library = _build("aarch64-macos", "Darwin", tmp_path) / "libkeras_bnn.dylib"
    # Zig's linker exports more than exports.txt says, which Apple's follows.
    assert {f"_{name}" for name in _INTERFACE} <= set(re.findall(r"Name: (\w+)", _read(library, "--symbols")))
    needed = set(re.findall(r"^ +(\S+\.dylib)$", _read(library, "--needed-libs"), re.MULTILINE))
    assert needed == {"/usr/lib/libSystem.B.dylib", "@rpath/libkeras_bnn.0.dylib"}  # the latter is its own name
