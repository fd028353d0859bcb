"""The trained models that are shipped: they run, err as rarely as their table says, and match their .keras files."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from support.mnist import FOLDER, MNIST, MODELS, digits

import keras_bnn
import keras_bnn.layers  # for load_model
from keras_bnn.cli import main

# "| `mnist_cnn.tflite` | ... | 0.90 % | ..."
ERRORS = dict(re.findall(r"^\| `(\w+\.tflite)` .*?\| ([\d.]+) % \|", (FOLDER / "README.md").read_text(), re.MULTILINE))


def test_the_table_has_all_models() -> None:
    assert MODELS
    assert list(ERRORS) == [model.name for model in MODELS]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_packed_models(model: Path) -> None:
    x, y = digits()
    error = np.mean(keras_bnn.runtime.Interpreter(model).predict(x).argmax(-1) != y)
    if MNIST.exists():
        assert f"{100 * error:.2f}" == ERRORS[model.name]
    else:
        assert error < 0.05  # a hundred images


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.keras")), ids=lambda path: path.stem)
def test_keras_models_give_the_packed_ones(path: Path) -> None:
    x = digits()[0][:500]
    model = keras.models.load_model(path)
    assert not model.compiled
    packed = keras_bnn.runtime.Interpreter(keras_bnn.convert(model).model).predict(x)
    shipped = keras_bnn.runtime.Interpreter(path.with_suffix(".tflite")).predict(x)
    np.testing.assert_array_equal(packed, shipped)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(packed, expected, rtol=1e-5, atol=1e-4)


def test_the_command_of_the_readme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r"^keras-bnn (run .*)$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    monkeypatch.chdir(FOLDER.parents[1])
    assert main(command.split()) == 0
    assert "(100, 10)" in capsys.readouterr().out
