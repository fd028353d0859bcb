"""64-bit ARM under QEMU: the C++ tests, and the stock LiteRT wheel with the delegate in a Debian userland."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.userland import Userland
from support.userland_models import check_mnist_models, check_random_networks

pytestmark = pytest.mark.arm


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


def test_random_networks_equal_numpy_on_the_host(userland: Userland) -> None:
    check_random_networks(userland, 120, ("neon", "scalar"))


def test_mnist_models_equal_the_host(userland: Userland) -> None:
    check_mnist_models(userland, "neon")
