"""Larq Zoo's models: figures, outputs with the weights of a file that Larq wrote, files of the stock converter."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import keras_bnn
from keras_bnn import applications

pytestmark = pytest.mark.peers
FOLDER = Path(__file__).parent
SCRIPT = FOLDER / "zoo_models.py"
FIGURES = json.loads((FOLDER / "zoo_figures.json").read_text())


def test_figures_are_those_of_the_zoo(larq_python: str) -> None:
    run = subprocess.run([larq_python, SCRIPT, "figures"], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == FIGURES


@pytest.mark.parametrize(("name", "save"), [*((name, "save_weights") for name in FIGURES), ("BiRealNet18", "save")])
def test_outputs_equal_the_zoo_s(name: str, save: str, larq_python: str, tmp_path: Path) -> None:
    # XNOR-Net has a 6x6 convolution without padding at 1/32 of the image.
    size = 224 if name == "XNORNet" else 64
    weights, results = tmp_path / "weights.h5", tmp_path / "outputs.npz"
    subprocess.run([larq_python, SCRIPT, "outputs", name, str(size), save, weights, results], check=True)
    with np.load(results) as file:
        images, expected = file["images"], file["outputs"]
    make = getattr(applications, name)
    model = make(weights=weights, input_shape=images.shape[1:], classes=expected.shape[1], classifier_activation=None)
    outputs = model.predict(images, verbose=0)

    np.testing.assert_array_equal(outputs.argmax(axis=1), expected.argmax(axis=1))
    # The two TensorFlows add up real-valued layers in another order, so outputs differ in float32's last digits, and a
    # value that close to 0 may get the other sign. A swapped layer or another padding makes a difference as large as
    # the one between images; a thousandth of that is allowed.
    assert np.abs(outputs - expected).max() < 1e-3 * expected.std(axis=0).mean()


@pytest.mark.parametrize("name", FIGURES)
def test_stock_converted_models_are_packed(name: str, larq_python: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    size = 224 if name == "XNORNet" else 64
    run = subprocess.run(
        [larq_python, SCRIPT, "convert", name, str(size), path], capture_output=True, text=True, check=True
    )
    report = keras_bnn.convert(path, verify=True)
    assert len(report.packed) == int(run.stdout.split()[-1])
    assert not report.left
    assert report.verification is not None
    assert report.verification.exact is not None
    assert report.verification.exact.equal_samples == report.verification.samples > 0
