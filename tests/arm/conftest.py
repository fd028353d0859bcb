"""The builds for ARM and the userlands, made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from support import pi_page
from support.userland import Userland, open_userland

_HERE = Path(__file__).resolve().parent
_SOURCES = _HERE.parents[1] / "cc_ops"
_MISSING_REQUIREMENT = 77  # the exit status of make_root.sh


def _cross_build(folder: Path, machine: str, emulator: str) -> Path:
    for program in ("cmake", f"{machine}-g++", emulator):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    options = [
        f"-DCMAKE_TOOLCHAIN_FILE=cmake/{machine}.cmake",
        "-DKERAS_BNN_BUILD_TESTS=ON",
        "-DKERAS_BNN_WERROR=ON",
    ]
    subprocess.run(["cmake", "-S", _SOURCES, "-B", folder, *options], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", str(os.cpu_count())], check=True)
    return folder


@pytest.fixture(scope="session")
def arm64_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CMake build folder with libkeras_bnn.so and the C++ tests for arm64."""
    return _cross_build(tmp_path_factory.mktemp("build-aarch64"), "aarch64-linux-gnu", "qemu-aarch64-static")


@pytest.fixture(scope="session")
def armhf_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for armhf, 32-bit ARM with hardware floats."""
    return _cross_build(tmp_path_factory.mktemp("build-armhf"), "arm-linux-gnueabihf", "qemu-arm-static")


def _root(architecture: str, runtime: str) -> Path:
    """A Debian 12 userland with a runtime and the packages of docs/raspberry_pi.md, kept in the user's cache.

    Its name tells what is in it, so that one that a test runs in is never taken away.
    """
    packages = ["python3", *pi_page.debian_packages()]
    script = _HERE / "make_root.sh"
    made_from = hashlib.sha256(script.read_bytes() + repr((runtime, packages)).encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache.resolve() / "keras-bnn" / f"{architecture}-{made_from[:8]}"
    command = [script, architecture, root, sys.executable, runtime, *packages]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode == _MISSING_REQUIREMENT:
        pytest.skip(made.stderr.strip())
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture(scope="session")
def arm64_root() -> Path:
    """An arm64 userland with LiteRT."""
    return _root("arm64", f"ai-edge-litert=={version('ai-edge-litert')}")


@pytest.fixture(scope="session")
def armhf_root() -> Path:
    """An armhf userland with tflite-runtime, for there is no LiteRT."""
    return _root("armhf", "tflite-runtime==2.14.0")


@pytest.fixture(scope="session")
def userland(arm64_root: Path, arm64_build: Path) -> Iterator[Userland]:
    """The arm64 userland with the arm64 library and the tests in it."""
    with open_userland(arm64_root, arm64_build / "libkeras_bnn.so") as opened:
        yield opened


@pytest.fixture(scope="session")
def armhf_userland(armhf_root: Path, armhf_build: Path) -> Iterator[Userland]:
    """The armhf userland with the armhf library and the tests in it."""
    with open_userland(armhf_root, armhf_build / "libkeras_bnn.so") as opened:
        yield opened
