"""64-bit ARM under QEMU: the C++ tests, and the stock LiteRT wheel with the delegate in a Debian userland."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import pytest
from format_reference import run_packed
from support.delegate import Session, assert_same_bits
from support.mnist import MODELS, digits
from support.networks import random_network
from support.userland import Userland

pytestmark = pytest.mark.arm

KERNEL_SETS = ("neon", "scalar", "sve2")


def test_cpp_tests(arm64_build: Path) -> None:
    command = ["ctest", "--test-dir", arm64_build, "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count())]
    subprocess.run(command, check=True)


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
    """The tests of tests/ops, by kernel set, so that several cores share them."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", userland.inside(userland.folder / "project"), "-k"]
    selections = ("scalar", "sve2", "not (scalar or sve2)")
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda tests: userland.python(*command, tests), selections):
            assert done.returncode == 0, done.stdout
            print(done.stdout)


def test_random_networks_equal_the_host(userland: Userland) -> None:
    """The expected outputs are computed here, by numpy on another CPU."""
    networks = {f"{seed:03}": random_network(Random(seed), 1 + seed % 5) for seed in range(120)}
    folder = userland.folder / "networks"
    folder.mkdir()
    batches = (2, 1, 3)
    for name, network in networks.items():
        (folder / f"{name}.tflite").write_bytes(network.model)
        np.savez(folder / f"{name}.inputs.npz", **{str(batch): network.inputs(batch)[0] for batch in batches})
    for isa in KERNEL_SETS:
        userland.evaluate(folder, isa)
        for name, network in networks.items():
            with np.load(folder / f"{name}.{isa}.npz") as outputs:
                for batch in batches:
                    assert_same_bits([outputs[str(batch)]], run_packed(network.model, network.inputs(batch)))


def test_mnist_models_equal_the_host(userland: Userland) -> None:
    """The shipped MNIST models give the same scores for test images as on this machine, bit for bit.

    They may, because they hold no stock op that rounds.
    """
    folder = userland.folder / "mnist"
    folder.mkdir()
    x, _ = digits()
    batches = {f"{first:05}": x[first : first + 100] for first in range(0, len(x), 100)}
    for model in MODELS:
        shutil.copy(model, folder)
        np.savez(folder / f"{model.stem}.inputs.npz", **batches)
    userland.evaluate(folder, "neon")
    for model in MODELS:
        session = Session(model.read_bytes(), "scalar", num_threads=2)
        with np.load(folder / f"{model.stem}.neon.npz") as outputs:
            for name, batch in batches.items():
                assert_same_bits([outputs[name]], session.run([batch]))
