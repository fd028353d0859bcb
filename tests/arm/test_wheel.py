"""The wheels for a Raspberry Pi: cross-built, and used in a Debian userland by the lines of docs/raspberry_pi.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import pi_page
from support.mnist import FOLDER, digits
from support.session import Session

pytestmark = pytest.mark.arm

_PROJECT = Path(__file__).resolve().parents[2]
_MODEL = FOLDER / "mnist_cnn.tflite"
_PLATFORMS = {
    "aarch64": ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"],
    "armv7l": ["manylinux_2_34_armv7l"],
}

# A 32-bit system on a 64-bit kernel, which is what most Pis with one have.
_64_BIT_KERNEL = """
import os
uname = os.uname
os.uname = lambda: os.uname_result((*uname()[:4], "aarch64"))
"""


class Pi:
    """A folder in a userland, which is the home of somebody who follows the page."""

    def __init__(self, architecture: str, root: Path, folder: Path) -> None:
        self.architecture = architecture
        self.folder = folder
        self.doctor = ""  # what `keras-bnn doctor` printed
        self.root = root
        self.inside = f"/{folder.relative_to(root)}"

    def run(self, *lines: str, **environment: str) -> str:
        """Runs command lines in bash, and returns what they printed."""
        environment = {
            **environment,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.inside,
            "LC_ALL": "C.UTF-8",
            # The registry that pip takes the runtime from is a folder here.
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": f"{self.inside}/registry",
            "PIP_NO_COMPILE": "1",
        }
        command = [
            "chroot",
            self.root,
            "/bin/bash",
            "-euo",
            "pipefail",
            "-c",
            "\n".join((f"cd {self.inside}", *lines)),
        ]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout


def _debian_numpy(root: Path) -> str:
    """The version of the userland's own numpy."""
    (metadata,) = root.glob("usr/lib/python3/dist-packages/numpy-*.egg-info")
    return metadata.name.split("-")[1].removesuffix(".egg")


@pytest.fixture(scope="module", params=["aarch64", "armv7l"])
def pi(request: pytest.FixtureRequest) -> Iterator[Pi]:
    """Builds the wheel, copies what the page copies, and installs it, but for the packages that the userland has."""
    architecture = request.param
    root = request.getfixturevalue({"aarch64": "arm64_root", "armv7l": "armhf_root"}[architecture])
    with tempfile.TemporaryDirectory(dir=root / "tmp") as name:
        folder = Path(name)
        subprocess.run([_PROJECT / ".ci" / "build_wheel", architecture, folder], check=True)
        (wheel,) = folder.glob(f"keras_bnn-*_{architecture}.whl")
        assert wheel.stat().st_size < 1_000_000
        for pattern in pi_page.copied_files():
            for file in () if pattern.startswith("dist/") else sorted(_PROJECT.glob(pattern)):
                shutil.copy(file, folder)
        platforms = [f"--platform={platform}" for platform in _PLATFORMS[architecture]]
        numpy = f"numpy=={_debian_numpy(root)}"
        wanted = [wheel, numpy] if architecture == "aarch64" else ["--no-deps", "tflite-runtime>=2.14", "flatbuffers"]
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=311"]
        subprocess.run([*download, f"--dest={folder}/registry", *platforms, *wanted], check=True)
        opened = Pi(architecture, root, folder)
        lines = pi_page.section("Install")
        assert lines[0].startswith("sudo apt install ")
        assert lines[-1] == "keras-bnn doctor"
        (folder / "kernel").mkdir()
        (folder / "kernel" / "sitecustomize.py").write_text(_64_BIT_KERNEL)
        opened.doctor = opened.run(*lines[1:], PYTHONPATH=f"{opened.inside}/kernel")
        yield opened


def test_doctor(pi: Pi) -> None:
    print(pi.doctor)
    width, runtime = {"aarch64": ("", "ai-edge-litert"), "armv7l": (", 32-bit", "tflite-runtime")}[pi.architecture]
    assert re.search(rf"^Python +3\.11\.\d+, Linux aarch64{width}$", pi.doctor, re.MULTILINE)
    assert re.search(rf"^runtime +{runtime} ", pi.doctor, re.MULTILINE)
    assert re.search(rf"^numpy +{re.escape(_debian_numpy(pi.root))}$", pi.doctor, re.MULTILINE)
    assert re.search("^kernels chosen +(neon|sve2)$", pi.doctor, re.MULTILINE)
    assert {"neon", "scalar"} <= set(re.findall(r"^self-test, (\w+) +all outputs exact", pi.doctor, re.MULTILINE))


def test_predict(pi: Pi) -> None:
    printed = pi.run(". pi/bin/activate", *pi_page.section("Predict"))
    (expected,) = re.findall(r"^`(seven\.png: [^`]*)`", pi_page.text(), re.MULTILINE)
    assert re.search(rf"^{re.escape(expected)}; [\d.]+ ms$", printed, re.MULTILINE), printed
    _, labels = digits()
    assert np.mean(np.load(pi.folder / "scores.npy").argmax(-1) == labels[:100]) > 0.95


def test_all_predictions_are_those_of_the_host(pi: Pi) -> None:
    images = digits()[0][: None if pi.architecture == "aarch64" else 1000]  # the other emulation takes 6 ms an image
    np.save(pi.folder / "images.npy", images)
    pi.run(f"pi/bin/keras-bnn run {_MODEL.name} --input images.npy --output scores.npy")
    (expected,) = Session(_MODEL.read_bytes(), "scalar", num_threads=os.cpu_count() or 1).run([images])
    np.testing.assert_array_equal(np.load(pi.folder / "scores.npy"), expected)


def test_measure(pi: Pi) -> None:
    (line,) = pi_page.section("Measure")
    printed = pi.run(". pi/bin/activate", f"{line} --seconds 0.1")
    print(printed)
    assert re.findall(r"^(\d) threads? +file ", printed, re.MULTILINE) == ["1", "2", "3", "4"]
    assert re.findall(r"^ops on (\d)", printed, re.MULTILINE) == ["1", "2", "3", "4"]
    assert len(re.findall(r"^\S+ +BnnConv2D .* [\d.]+%", printed, re.MULTILINE)) == 4 * 3
    assert ("no shapes" in printed) == (pi.architecture == "armv7l")


def test_own_program(pi: Pi) -> None:
    (pi.folder / "own.py").write_text(pi_page.program())
    printed = pi.run(". pi/bin/activate", "python own.py")
    _, labels = digits()
    found = np.array(re.findall(r"\d", printed.partition("[")[2]), int)
    assert np.mean(found == labels[:100]) > 0.95


def test_the_readme_has_the_same_lines() -> None:
    readme = (_PROJECT / "README.md").read_text()
    assert "```\n" + "\n".join(pi_page.section("Install")) + "\n```" in readme
