"""64-bit ARM under QEMU: the C++ tests, and the stock LiteRT wheel with the delegate in a Debian userland."""

from __future__ import annotations

import os
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

KERNEL_SETS = ("neon", "scalar")


def test_cpp_tests(arm64_build: Path) -> None:
    command = ["ctest", "--test-dir", arm64_build, "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count())]
    subprocess.run(command, check=True)


def test_ops_in_the_userland(userland: Userland) -> None:
    """The tests of tests/ops, scalar kernels on one core and the rest on another."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", userland.inside(userland.folder / "project"), "-k"]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda tests: userland.python(*command, tests), ("scalar", "not scalar")):
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
