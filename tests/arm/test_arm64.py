"""64-bit ARM under QEMU: the C++ tests, and the stock LiteRT wheel with the delegate in a Debian userland."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.cpp_tests import run_cpp_tests
from support.userland import Userland
from support.userland_models import check_mnist_models, check_random_networks

pytestmark = pytest.mark.arm


def test_cpp_tests(arm64_build: Path) -> None:
    run_cpp_tests(["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"], arm64_build, ("neon", "sve2", "scalar"))


def _run_kernel_tests(build: Path, emulator: str, cpu: str, isa: str) -> None:
    """The C++ tests of one kernel set for packed bits, on the CPU that QEMU calls `cpu`; all of them must run."""
    tests = f"--gtest_filter=*BinaryTile*/{isa}:*Conv2DTest*/{isa}:KernelSetsTest.*:{isa.capitalize()}Test.*"
    command = [emulator, "-cpu", cpu, "-L", "/usr/aarch64-linux-gnu", build / "tests" / "keras_bnn_tests", tests]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"BinaryTileTest.ManyTaps/{isa}" in done.stdout
    assert "SKIPPED" not in done.stdout, done.stdout


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_sve2_at_every_vector_length(arm64_build: Path, bits: int) -> None:
    _run_kernel_tests(arm64_build, "qemu-aarch64-static", f"max,sve{bits}=on", "sve2")


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_sme2_at_every_vector_length(arm64_build: Path, bits: int) -> None:
    """On a QEMU that has SME2: qemu-aarch64 from the PATH, or the one that KERAS_BNN_QEMU_AARCH64 names."""
    emulator = os.environ.get("KERAS_BNN_QEMU_AARCH64", "qemu-aarch64")
    if shutil.which(emulator) is None:
        pytest.skip(f"{emulator} is not installed; SME2 takes QEMU 10.1 or newer")
    version = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    if [int(part) for part in re.findall(r"\d+", version)[:2]] < [10, 1]:
        pytest.skip(f"{emulator} is of QEMU {version}, and SME2 takes 10.1 or newer")
    _run_kernel_tests(arm64_build, emulator, f"max,sme{bits}=on", "sme2")


def test_ops_in_the_userland(userland: Userland) -> None:
    """The tests of tests/ops, by kernel set, so that two cores share them; SVE2 has the random networks below."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", userland.inside(userland.folder / "project"), "-k"]
    selections = ("scalar", "not (scalar or sve2)")
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda tests: userland.python(*command, tests), selections):
            assert done.returncode == 0, done.stdout
            print(done.stdout)


def test_random_networks_equal_numpy_on_the_host(userland: Userland) -> None:
    check_random_networks(userland, 120, ("neon", "scalar", "sve2"))


def test_mnist_models_equal_the_host(userland: Userland) -> None:
    check_mnist_models(userland, "neon")
