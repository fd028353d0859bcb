"""The arm64 build and the arm64 userland, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from support.userland import Userland, open_userland

_HERE = Path(__file__).resolve().parent
_SOURCES = _HERE.parents[1] / "cc_ops"
_MISSING_REQUIREMENT = 77  # the exit status of make_arm64_root.sh


@pytest.fixture(scope="session")
def arm64_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CMake build folder with libkeras_bnn.so and the C++ tests for arm64."""
    for program in ("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64-static"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("build-aarch64")
    options = [
        "-DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake",
        "-DKERAS_BNN_BUILD_TESTS=ON",
        "-DKERAS_BNN_BUILD_BENCH=ON",
    ]
    subprocess.run(["cmake", "-S", _SOURCES, "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", str(os.cpu_count())], check=True)
    return folder


@pytest.fixture(scope="session")
def arm64_root() -> Path:
    """A Debian 12 arm64 userland with LiteRT; kept in KERAS_BNN_ARM64_ROOT, or else in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("KERAS_BNN_ARM64_ROOT") or cache / "keras-bnn" / "arm64-root").resolve()
    script = [_HERE / "make_arm64_root.sh", root, sys.executable, version("ai-edge-litert")]
    made = subprocess.run(script, capture_output=True, text=True, check=False)
    if made.returncode == _MISSING_REQUIREMENT:
        pytest.skip(made.stderr.strip())
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture(scope="session")
def userland(arm64_root: Path, arm64_build: Path) -> Iterator[Userland]:
    """The arm64 userland with the runtime, the arm64 library and the tests in it."""
    with open_userland(arm64_root, arm64_build / "libkeras_bnn.so") as opened:
        yield opened
