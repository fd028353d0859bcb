"""Packed files on the stock runtimes, each in an environment of its own, give the bits that they give here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.delegate import assert_same_bits
from support.mnist import MODELS, digits
from support.runtimes import RUNTIMES, MissingPythonError, Runtime, run_file
from support.session import Session

import keras_bnn
from keras_bnn.runtime import delegate_path

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed residual network, all of whose ops are the delegate's."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras_bnn.layers.BinaryConv2D(32, 3, padding="same", input_quantizer=None)(inputs)
    x = keras.layers.BatchNormalization()(x)
    for _ in range(2):
        y = keras_bnn.layers.BinaryConv2D(32, 3, padding="same")(x)
        x = keras.layers.add([x, keras.layers.BatchNormalization()(y)])
    outputs = keras_bnn.layers.BinaryDense(10)(keras.layers.Flatten()(x))
    path = tmp_path_factory.mktemp("residual") / "residual.tflite"
    keras_bnn.convert(keras.Model(inputs, outputs), path)
    return path


def _check(runtime: Runtime, model: Path, x: np.ndarray) -> None:
    """Batches of 1, 3 and 2, as the runtime has to resize between them."""
    runs = {"one": x[:1], "three": x[1:4], "two": x[4:6]}
    session = Session(model.read_bytes(), "scalar")
    try:
        outputs = run_file(runtime, str(delegate_path()), model, runs)
    except MissingPythonError as missing:
        pytest.skip(str(missing))
    for name, batch in runs.items():
        assert_same_bits([outputs[name]], session.run([batch]))


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_mnist(runtime: Runtime) -> None:
    _check(runtime, next(path for path in MODELS if path.stem == "mnist_cnn"), digits()[0])


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_residual_network(runtime: Runtime, residual: Path) -> None:
    _check(runtime, residual, np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype(np.float32))
