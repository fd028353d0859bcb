"""What the converters make of each quantizer: the plain .tflite is right, and 1-bit kernels are packed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn.converter.report import ConversionReport
from keras_bnn.layers import BinaryConv2D, BinaryDense
from keras_bnn.quantizers import DoReFa, SteTern
from keras_bnn.runtime import Interpreter

if keras.backend.backend() != "tensorflow":
    pytest.skip("the TFLite converter traces TensorFlow: run with KERAS_BACKEND=tensorflow", allow_module_level=True)

RNG = np.random.default_rng(31)
X = RNG.normal(size=(3, 8, 8, 3)).astype(np.float32)


def converted(pairs: list[tuple], dense: tuple) -> ConversionReport:
    """Convert convolutions and a dense layer with these input and kernel quantizers, and run both files.

    The kernels are large enough for the stock converter to be choosy about what it folds.
    """
    layers: list[keras.layers.Layer] = []
    for inputs, kernel in pairs:
        layers.append(BinaryConv2D(33, 3, padding="same", pad_value=1, input_quantizer=inputs, kernel_quantizer=kernel))
        layers.append(keras.layers.BatchNormalization())
    layers += [keras.layers.Flatten(), BinaryDense(10, input_quantizer=dense[0], kernel_quantizer=dense[1])]
    model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
    for weight in model.weights:
        positive = "variance" in weight.path
        weight.assign(RNG.uniform(0.5, 2, weight.shape) if positive else RNG.normal(0, 0.8, weight.shape))
    expected = model.predict(X, verbose=0)
    report = keras_bnn.convert(model, verify=True)
    for file in (report.reference, report.model):
        np.testing.assert_allclose(
            Interpreter(file).predict(X), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        )
    return report


def data_of(report: ConversionReport) -> list[str]:
    return [f"{op.input_type} {op.output_type}" for op in report.packed]


def test_one_bit_kernels_and_inputs_are_packed() -> None:
    pairs = [
        (None, "approx_sign"),
        ("approx_sign", "swish_sign"),
        ("swish_sign", "stochastic_sign"),
        ("stochastic_sign", "magnitude_aware_sign"),
        ("learned_threshold_sign", DoReFa(1, "weights")),
    ]
    report = converted(pairs, ("ste_sign", "magnitude_aware_sign"))
    assert data_of(report) == ["float32 bits", *["bits bits"] * 4, "bits float32"]
    assert not report.left
    assert not report.unchanged


def test_learned_thresholds_behind_a_flatten_belong_to_the_sign() -> None:
    # They belong to the elements of the row, not to the channels of the convolution, whose op cannot take them up.
    report = converted([(None, "ste_sign")], ("learned_threshold_sign", "ste_sign"))
    assert data_of(report) == ["float32 float32", "bits float32"]
    assert "ADD" not in report.unchanged


def test_inputs_of_more_than_two_values_stay_float32() -> None:
    inputs = ["ste_tern", "ste_heaviside", DoReFa(2), "no_op"]
    report = converted([(quantizer, "ste_sign") for quantizer in inputs], ("ste_sign", "ste_sign"))
    assert data_of(report) == [*["float32 float32"] * 3, "float32 bits", "bits float32"]


def test_kernels_that_are_not_plus_minus_one_scale_are_left_with_a_reason() -> None:
    kernels = [SteTern(), SteTern(None), "ste_heaviside", DoReFa(2, "weights"), "no_op"]
    report = converted([("ste_sign", quantizer) for quantizer in kernels], ("ste_sign", "ste_sign"))
    assert data_of(report) == ["bits float32"]
    assert len(report.left) == len(kernels)
    assert all("absolute values, " in op.reason for op in report.left)
