"""The example for TensorFlow Lite's C API, on a library that Maven has: 2.6.2 for desktops, made for Java."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.delegate import assert_same_bits
from support.mnist import MODELS, digits
from support.programs import printed_floats, run
from support.session import Session

pytestmark = pytest.mark.compat

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy"
_LIBRARY = "ai.djl.tflite:tflite-native-cpu:2.6.2:jar:linux-x86_64"


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with TensorFlow Lite's C API."""
    if shutil.which("mvn") is None:
        pytest.skip("mvn is not installed, which fetches TensorFlow Lite's library")
    folder = tmp_path_factory.mktemp("tflite")
    run("mvn", "--batch-mode", "--quiet", _PLUGIN, f"-Dartifact={_LIBRARY}", f"-DoutputDirectory={folder}", cwd=folder)
    (jar,) = folder.glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        return Path(archive.extract("native/lib/libtensorflowlite_jni.so", folder))


@pytest.mark.parametrize("ops", [(), ("--custom-ops",)], ids=["delegate", "custom ops"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_mnist(
    programs: Path,
    tflite: Path,
    tmp_path: Path,
    environment: dict[str, str],
    model: Path,
    threads: int,
    ops: tuple[str],
) -> None:
    """The bits that the newest LiteRT gives with the delegate."""
    images = digits()[0][:50]
    images.tofile(tmp_path / "images.f32")
    command = (programs / "minimal", model, "--runtime", tflite, "--input", tmp_path / "images.f32", *ops)
    printed = run(*command, "--threads", threads, env=environment, stderr=subprocess.DEVNULL)
    session = Session(model.read_bytes(), "scalar")
    expected = np.concatenate([session.run([image[np.newaxis]])[0] for image in images])
    assert_same_bits([printed_floats(printed)], [expected])


@pytest.mark.parametrize("ops", [(), ("--custom-ops",)], ids=["delegate", "custom ops"])
def test_errors(programs: Path, tflite: Path, tmp_path: Path, environment: dict[str, str], ops: tuple[str]) -> None:
    def failure(model: Path) -> str:
        command = [programs / "minimal", model, "--runtime", tflite, *ops]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert done.returncode == 1
        return done.stderr

    assert "none.tflite is no .tflite file that the runtime reads" in failure(tmp_path / "none.tflite")
    environment["KERAS_BNN_ISA"] = "abacus"
    assert "(the name comes from the environment variable KERAS_BNN_ISA)" in failure(MODELS[0])
