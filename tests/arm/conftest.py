"""The arm64 build and the arm64 userland, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
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
    options = ["-DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake", "-DKERAS_BNN_BUILD_TESTS=ON"]
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


@pytest.fixture(scope="session")
def digits() -> dict[str, np.ndarray]:
    """Images of digits under the names of mnist.npz; for training only some, since the test asks for no accuracy.

    They are MNIST's if KERAS_BNN_MNIST names its file or Keras has downloaded it, else scikit-learn's, enlarged.
    """
    path = Path(os.environ.get("KERAS_BNN_MNIST") or Path.home() / ".keras" / "datasets" / "mnist.npz")
    if path.exists():
        with np.load(path) as mnist:
            images = dict(mnist)
        return {**images, "x_train": images["x_train"][:6000], "y_train": images["y_train"][:6000]}
    from sklearn.datasets import load_digits  # costs a second, also where the marker deselects these tests

    bunch = load_digits()
    x = np.pad(np.kron(bunch.images * 15, np.ones((1, 3, 3))), ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    y = bunch.target.astype(np.uint8)
    return {"x_train": x[:1200], "y_train": y[:1200], "x_test": x[1200:], "y_test": y[1200:]}


@pytest.fixture(scope="session")
def mnist_models(digits: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The packed files of the MNIST examples: those in the folder KERAS_BNN_MNIST_MODELS, or quickly trained ones."""
    examples = sorted((_HERE.parents[1] / "examples").glob("mnist_*.py"))
    given = os.environ.get("KERAS_BNN_MNIST_MODELS")
    if given:
        return [Path(given, example.stem).with_suffix(".tflite") for example in examples]
    folder = tmp_path_factory.mktemp("mnist")
    np.savez(folder / "digits.npz", **digits)
    models = []
    for example in examples:
        models.append(folder / f"{example.stem}.tflite")
        command = [sys.executable, example, "--epochs", "1", "--data", folder / "digits.npz", "--output", models[-1]]
        subprocess.run(command, cwd=folder, check=True)
    return models
