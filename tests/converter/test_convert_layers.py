"""Each binary layer of Keras models is packed, and computes what the exact reference does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

import keras_bnn
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2D,
    BinaryConv2DTranspose,
    BinaryConv3D,
    BinaryDense,
    BinaryDepthwiseConv2D,
    BinarySeparableConv2D,
)

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a second Python for each model would take too long"
)


def _norm() -> Any:
    """Batch normalization as it is before training: many sums of 0 in front of a sign."""
    return layers.BatchNormalization()


def _chain(shape: tuple[int, ...], *parts: Any) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts])


def _joined() -> keras.Model:
    x = keras.Input((6, 6, 32))
    y = layers.Concatenate()([BinaryConv2D(32, 3, padding="same")(x), x])
    return keras.Model(x, BinaryConv2D(5, 3)(y))


MODELS: dict[str, tuple[Callable[[], keras.Model], list[str]]] = {
    "Conv1D": (
        lambda: _chain(
            (12, 5), BinaryConv1D(40, 3, padding="same"), _norm(), BinaryConv1D(6, 3), layers.ReLU(), _norm()
        ),
        ["BnnConv2D", "BnnConv2D"],
    ),
    "Dense on rank 3": (
        lambda: _chain((7, 40), BinaryDense(33), _norm(), BinaryDense(6), _norm()),
        ["BnnFullyConnected", "BnnFullyConnected"],
    ),
    "Dense behind a batch normalization": (
        lambda: _chain((40,), BinaryDense(40), _norm(), BinaryDense(8, input_quantizer=None), _norm()),
        ["BnnFullyConnected", "BnnFullyConnected"],
    ),
    "depthwise": (
        lambda: _chain((8, 8, 6), BinaryDepthwiseConv2D(3, padding="same"), _norm(), BinaryConv2D(8, 1), _norm()),
        ["BnnDepthwiseConv2D", "BnnConv2D"],
    ),
    "dilated depthwise": (
        lambda: _chain((8, 8, 6), BinaryDepthwiseConv2D(3, padding="same", dilation_rate=2, pad_value=1), _norm()),
        ["BnnDepthwiseConv2D"],
    ),
    "separable": (
        lambda: _chain((8, 8, 6), BinarySeparableConv2D(8, 3, padding="same"), _norm()),
        ["BnnDepthwiseConv2D", "BnnConv2D"],
    ),
    "transposed": (
        lambda: _chain(
            (5, 4, 6), BinaryConv2DTranspose(40, 3, strides=2, padding="same"), _norm(), BinaryConv2DTranspose(8, 2)
        ),
        ["BnnTransposeConv2D", "BnnTransposeConv2D"],
    ),
    "concatenation": (_joined, ["BnnConv2D", "BnnConv2D"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_is_packed_and_exact(name: str) -> None:
    make, kinds = MODELS[name]
    keras.utils.set_random_seed(3)
    report = keras_bnn.convert(make(), verify=True)
    assert [op.kind for op in report.packed] == kinds
    assert not report.left
    assert report.verification is not None
    assert report.verification.exact is not None
    assert report.verification.exact.equal_samples == report.verification.samples > 0


def test_conv_3d_stays_with_a_reason() -> None:
    model = _chain((4, 5, 5, 3), BinaryConv3D(6, 2), layers.Flatten(), BinaryDense(4))
    report = keras_bnn.convert(model, verify=True)
    assert [op.kind for op in report.packed] == ["BnnFullyConnected"]
    assert [(op.kind, op.reason) for op in report.left] == [
        ("CONV_3D", "CONV_3D has no packed op in this version of the format")
    ]
