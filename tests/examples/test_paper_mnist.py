"""The script of the paper's MNIST networks: a whole training in small, stopped in the middle and taken up again."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "paper_mnist.py"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of MNIST's form: scikit-learn's digits, enlarged to 28 x 28; 10,000 of the 12,000 images are held out."""
    digits = load_digits()
    x = np.pad(np.kron(digits.images, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2))) * 255 / 16
    x, y = x.astype("uint8"), digits.target.astype("uint8")
    again = np.resize(np.arange(1400), 12_000)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=x[again], y_train=y[again], x_test=x[1400:], y_test=y[1400:])
    return path


def start(images: Path, folder: Path, recipe: str, *further: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), recipe, "--data", str(images), "--output", str(folder), "--units", "64"]
    return subprocess.Popen(
        [*command, *further], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder.parent
    )


def epochs(folder: Path) -> list[int]:
    curve = folder / "curve.csv"
    return [int(row["epoch"]) for row in csv.DictReader(curve.open())] if curve.exists() else []


@pytest.mark.parametrize("recipe", ["fast", "theano", "torch7"])
def test_training_goes_on_where_it_was_stopped(images: Path, tmp_path: Path, recipe: str) -> None:
    folder = tmp_path / "out"
    first = start(images, folder, recipe, "--epochs", "8")
    while len(epochs(folder)) < 3 and first.poll() is None:
        time.sleep(0.02)
    assert first.poll() is None, first.communicate()[0]
    first.kill()
    first.wait()
    stopped_after = len(epochs(folder))

    other = start(images, folder, recipe, "--epochs", "9")
    assert "pass the same ones to go on with it, or another folder as --output" in other.communicate()[0]
    assert other.returncode == 1

    second = start(images, folder, recipe, "--epochs", "8")
    output = second.communicate()[0]
    assert second.returncode == 0, output
    assert "Epoch 1/8" not in output  # it did not start over
    assert sorted(set(epochs(folder))) == list(range(8))
    assert len(epochs(folder)) - stopped_after < 8

    results = json.loads((folder / "results.json").read_text())
    assert results["epochs_trained"] == 8
    assert results["test_error"] < 0.4
    assert "397 test images" in output  # the packed file was compared
    assert (folder / "curve.png").stat().st_size > 5000
    assert (folder / "model.keras").stat().st_size < 4 * (784 * 64 + 2 * 64 * 64 + 640)  # signs, no optimizer state

    third = start(images, folder, recipe, "--epochs", "8")
    assert "holds a finished training" in third.communicate()[0]
    assert third.returncode == 1
