"""The wheel for a Raspberry Pi: cross-built, installed with pip in a Debian arm64 userland, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.mnist import MODELS, digits
from support.session import Session

pytestmark = pytest.mark.arm

_PROJECT = Path(__file__).resolve().parents[2]
_CLASSIFY = _PROJECT / "examples" / "raspberry_pi" / "classify.py"
_MODEL = next(path for path in MODELS if path.stem == "mnist_cnn")
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


class Pi:
    """An environment in the userland in which keras-bnn is installed from its wheel."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.inside = f"/{folder.relative_to(root)}"

    def run(self, *command: str) -> str:
        """Runs a command in the folder of the environment, and returns what it printed."""
        environment = {
            "PATH": f"{self.inside}/pi/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.inside,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{self.inside}/pi/lib/python3.11/site-packages",
        }
        line = ["chroot", self.root, "/usr/bin/qemu-aarch64-static", "/usr/bin/env", "-C", self.inside, *command]
        done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def pi(arm64_root: Path) -> Iterator[Pi]:
    """Builds the wheel and installs it with pip, which runs in the userland and finds all it needs in a folder."""
    with tempfile.TemporaryDirectory(dir=arm64_root / "tmp") as name:
        folder = Path(name)
        wheels = folder / "wheels"
        subprocess.run([_PROJECT / ".ci" / "build_wheel", "aarch64", wheels], check=True)
        (wheel,) = wheels.glob("keras_bnn-*-py3-none-manylinux_2_28_aarch64.whl")
        assert wheel.stat().st_size < 1_000_000
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, "--only-binary=:all:"]
        platforms = [argument for platform in _PLATFORMS for argument in ("--platform", platform)]
        subprocess.run([*download, *platforms, "--python-version", "311", wheel, "pillow", "pip"], check=True)
        opened = Pi(arm64_root, folder)
        (pip,) = wheels.glob("pip-*.whl")
        install = ["--quiet", "--no-compile", "--no-index", "--find-links=wheels", f"--prefix={opened.inside}/pi"]
        opened.run("python3", f"wheels/{pip.name}/pip", "install", *install, "keras-bnn", "pillow")
        yield opened


def test_doctor(pi: Pi) -> None:
    printed = pi.run("python3", "pi/bin/keras-bnn", "doctor")
    assert "neon" in printed
    assert "aarch64" in printed


def test_all_predictions_are_those_of_the_host(pi: Pi) -> None:
    images, _ = digits()
    np.save(pi.folder / "images.npy", images)
    (pi.folder / _MODEL.name).write_bytes(_MODEL.read_bytes())
    pi.run("python3", "pi/bin/keras-bnn", "run", _MODEL.name, "--input", "images.npy", "--output", "scores.npy")
    (expected,) = Session(_MODEL.read_bytes(), "scalar", num_threads=os.cpu_count() or 1).run([images])
    np.testing.assert_array_equal(np.load(pi.folder / "scores.npy"), expected)


def test_classify(pi: Pi) -> None:
    images, labels = digits()
    (pi.folder / _MODEL.name).write_bytes(_MODEL.read_bytes())
    (pi.folder / _CLASSIFY.name).write_bytes(_CLASSIFY.read_bytes())
    for i in range(3):
        pixels = ((images[i, ..., 0] + 1) * 128).astype(np.uint8)
        Image.fromarray(pixels).save(pi.folder / f"{i}.png")
    lines = pi.run("python3", "classify.py", _MODEL.name, "0.png", "1.png", "2.png").splitlines()
    answers = [line for line in lines if ".png: " in line]
    assert [line.partition(": ")[2].partition(" ")[0] for line in answers] == [str(label) for label in labels[:3]]
    assert all(line.endswith(" ms") for line in answers)
