"""32-bit ARM under QEMU: the C++ tests, and the stock tflite-runtime wheel with the delegate in a Debian userland."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.cpp_tests import run_cpp_tests
from support.userland import Userland
from support.userland_models import check_mnist_models, check_random_networks

pytestmark = pytest.mark.arm


def test_cpp_tests(armhf_build: Path) -> None:
    run_cpp_tests(["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"], armhf_build, ("neon", "scalar"))


def test_without_neon(armhf_build: Path) -> None:
    """A CPU that lacks it gets the scalar kernels."""
    program = armhf_build / "tests" / "keras_bnn_tests"
    command = ["qemu-arm-static", "-cpu", "cortex-a9,neon=off", "-L", "/usr/arm-linux-gnueabihf", program]
    done = subprocess.run(
        [*command, "--gtest_filter=KernelSetsTest.*:DelegateTest.*"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "kernel set neon: this CPU lacks it" in done.stdout


def test_random_networks_equal_numpy_on_the_host(armhf_userland: Userland) -> None:
    check_random_networks(armhf_userland, 60, ("neon", "scalar"))


def test_mnist_models_equal_the_host(armhf_userland: Userland) -> None:
    check_mnist_models(armhf_userland, "neon")
