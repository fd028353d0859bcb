"""A small trained-looking binary model as the files that the commands take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import keras_bnn


@dataclass(frozen=True)
class Files:
    """Paths of one model in its forms."""

    keras: Path
    reference: Path
    packed: Path
    inputs: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A convolution and two dense layers on 6x6 images, with batch normalizations that are not the identity."""
    import keras

    from keras_bnn.layers import BinaryConv2D, BinaryDense

    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            BinaryConv2D(40, 3, input_quantizer=None),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            BinaryDense(70),
            keras.layers.BatchNormalization(),
            BinaryDense(5),
            keras.layers.BatchNormalization(),
        ]
    )
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (rng.normal(0.3, 1.0, w.shape) for w in layer.get_weights())
            layer.set_weights([gamma, beta, 3 * mean, np.abs(variance) + 0.5])
    folder = tmp_path_factory.mktemp("files")
    found = Files(folder / "m.keras", folder / "float.tflite", folder / "packed.tflite", folder / "x.npy")
    model.save(found.keras)
    keras_bnn.convert(model, found.packed, reference_path=found.reference)
    np.save(found.inputs, rng.normal(size=(7, 6, 6, 2)))
    return found
