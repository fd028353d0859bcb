"""The examples that need nothing but a runtime."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from support.mnist import FOLDER

from keras_bnn import runtime

MODEL = FOLDER / "mnist_cnn.tflite"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_own_interpreter(dense_file: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "own_interpreter.py"), str(dense_file)]
    result = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("tensor_2 [[")
    assert f"kernels: {runtime.cpu_info()['chosen_kernel_set']}" in result.stdout


def classify(*arguments: str | Path, **environment: str) -> str:
    program = EXAMPLES / "raspberry_pi" / "classify.py"
    command = [sys.executable, program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_classify_takes_the_labels_of_the_file(tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.tflite"
    labelled.write_bytes(MODEL.read_bytes())
    with zipfile.ZipFile(labelled, "a") as archive:
        archive.writestr("labels.txt", "zero one two three four five six seven eight nine".replace(" ", "\n"))
    image = EXAMPLES / "raspberry_pi" / "seven.png"
    assert classify(labelled, image, "--top", "1").startswith(f"{image}: seven (6.43); ")
    other = tmp_path / "other.txt"
    other.write_text("nought\nun\ndeux\ntrois\nquatre\ncinq\nsix\nsept\nhuit\nneuf")
    assert classify(labelled, image, "--top", "1", "--labels", str(other)).startswith(f"{image}: sept (6.43); ")
    assert classify(MODEL, image, "--top", "1").startswith(f"{image}: 7 (6.43); ")


CAMERA = """
from PIL import Image, ImageOps

class Picamera2:
    pictures = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def create_still_configuration(self):
        return "still"

    def configure(self, configuration):
        assert configuration == "still"

    def start(self):
        self.started = True

    def capture_image(self, stream):
        assert self.started and stream == "main"
        self.pictures += 1
        if self.pictures == 3:
            raise KeyboardInterrupt
        return ImageOps.invert(Image.open({image!r})).resize((640, 480)).convert("RGB")
"""


def test_classify_looks_through_the_camera_until_it_is_stopped(tmp_path: Path) -> None:
    """With a module in place of picamera2: a black seven on white, as on paper."""
    image = EXAMPLES / "raspberry_pi" / "seven.png"
    (tmp_path / "picamera2.py").write_text(CAMERA.format(image=str(image)))
    printed = classify(MODEL, "--camera", "--invert", "--top", "1", PYTHONPATH=str(tmp_path))
    assert [line.partition(" (")[0] for line in printed.splitlines()] == ["camera: 7"] * 2


def test_classify_without_a_camera() -> None:
    command = [sys.executable, EXAMPLES / "raspberry_pi" / "classify.py", MODEL, "--camera"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 1
    assert "sudo apt install python3-picamera2" in done.stderr
    assert "Traceback" not in done.stderr
