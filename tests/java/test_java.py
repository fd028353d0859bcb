"""The Java class on a desktop JVM, with TensorFlow Lite's own Java runtime."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.mnist import MODELS, digits
from support.session import Session

pytestmark = pytest.mark.java

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library with the native methods of BnnDelegate."""
    for tool in ("javac", "mvn", "cmake"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    build = tmp_path_factory.mktemp("jni")
    source = ["cmake", "-S", PROJECT / "cc_ops", "-B", build, "-G", "Ninja"]
    subprocess.run([*source, "-DKERAS_BNN_BUILD_JNI=ON", "-DKERAS_BNN_WERROR=ON"], check=True)
    subprocess.run(["cmake", "--build", build], check=True)
    return build


def test_junit(library: Path, tmp_path: Path) -> None:
    """The JUnit tests, with a hundred MNIST images and the scores that Python got for them."""
    model = next(path for path in MODELS if path.stem == "mnist_cnn")
    images = digits()[0][:100]
    (scores,) = Session(model.read_bytes(), "scalar").run([images])
    shutil.copy(model, tmp_path / "model.tflite")
    images.tofile(tmp_path / "images.f32")
    scores.tofile(tmp_path / "scores.f32")
    target = tmp_path / "target"
    command = ["mvn", "--batch-mode", "--quiet", "--file", PROJECT / "cc_ops" / "java", "test"]
    done = subprocess.run(
        [*command, f"-Dkeras_bnn.library={library}", f"-Dkeras_bnn.files={tmp_path}", f"-Dkeras_bnn.target={target}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
