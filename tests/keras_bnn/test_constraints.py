"""Values and configuration of the constraints."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn import constraints
from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryDense


def kernel(*shape: int) -> np.ndarray:
    w = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    w.flat[:2] = [0, -0.0]
    return w


@pytest.mark.parametrize("clip_value", [1.0, 0.3])
def test_values(clip_value: float) -> None:
    w = kernel(7, 9)
    w[1, :2] = [-clip_value, clip_value]
    clipped = ops.convert_to_numpy(WeightClip(clip_value)(w))
    np.testing.assert_array_equal(clipped, np.clip(w, np.float32(-clip_value), np.float32(clip_value)))
    assert np.any(clipped != w)


# fan_in + fan_out: taps * (input channels + output channels)
@pytest.mark.parametrize(
    ("shape", "fans"),
    [((7, 9), 16), ((5, 2, 3), 5 * 5), ((3, 4, 2, 8), 12 * 10), ((2, 3, 4, 5, 6), 24 * 11), ((3, 3, 7, 1), 9 * 8)],
)
def test_glorot_clip(shape: tuple[int, ...], fans: int) -> None:
    w, bound = kernel(*shape), np.float32(np.sqrt(1.5 / fans))
    np.testing.assert_array_equal(ops.convert_to_numpy(WeightClip("glorot")(w)), np.clip(w, -bound, bound))


def test_one_glorot_clip_serves_kernels_of_several_shapes() -> None:
    clip = WeightClip("glorot")
    for shape in [(7, 9), (2, 3), (7, 9)]:
        clipped = ops.convert_to_numpy(clip(keras.Variable(10 * kernel(*shape))))
        assert np.abs(clipped).max() == np.float32(np.sqrt(1.5 / sum(shape)))


def test_training_clips_to_the_glorot_value() -> None:
    model = keras.Sequential([keras.Input((6,)), BinaryDense(3, kernel_constraint=WeightClip("glorot"))])
    model.compile(optimizer=keras.optimizers.SGD(10.0), loss="mse")
    model.fit(kernel(8, 6), kernel(8, 3), verbose=0)
    np.testing.assert_allclose(np.abs(ops.convert_to_numpy(model.layers[0].kernel)).max(), np.sqrt(1.5 / 9), rtol=1e-6)


def test_the_glorot_clip_scales_the_learning_rate_of_the_kernel() -> None:
    """Clip c and learning rate r train the signs that clip 1 and learning rate r / c train, with the same Adam."""
    start, x, y, c = np.clip(kernel(6, 3), -1, 1), kernel(8, 6), 20 * kernel(8, 3), np.sqrt(1.5 / 9)
    kernels = {}
    for clip_value, scale, rate in [(1.0, 1.0, 0.1 / c), ("glorot", c, 0.1)]:
        layer = BinaryDense(3, kernel_constraint=WeightClip(clip_value), input_quantizer=None)
        model = keras.Sequential([keras.Input((6,)), layer])
        layer.kernel.assign(scale * start)
        model.compile(optimizer=keras.optimizers.Adam(float(rate)), loss="mse")
        model.fit(x, y, batch_size=4, epochs=7, shuffle=False, verbose=0)
        kernels[clip_value] = ops.convert_to_numpy(layer.kernel) / scale
    assert np.any(np.sign(kernels["glorot"]) != np.sign(start))
    assert 0.1 < np.mean(np.abs(kernels["glorot"]) > 0.999) < 0.9
    np.testing.assert_allclose(kernels["glorot"], kernels[1.0], atol=1e-4)


def test_get() -> None:
    assert constraints.get("weight_clip").get_config() == {"clip_value": 1.0}
    assert isinstance(constraints.get("non_neg"), keras.constraints.NonNeg)
    assert constraints.get(None) is None


@pytest.mark.parametrize("clip_value", [0.5, "glorot"])
def test_configuration_round_trip(clip_value: float | str) -> None:
    config = keras.constraints.serialize(WeightClip(clip_value))
    assert config["registered_name"] == "keras_bnn>WeightClip"
    assert constraints.get(config).get_config() == {"clip_value": clip_value}


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan"), "he"])
def test_clip_value_must_be_positive_or_glorot(clip_value: float | str) -> None:
    with pytest.raises(ValueError, match=f"WeightClip got clip_value={clip_value!r}: pass a number above 0"):
        WeightClip(clip_value)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_the_glorot_clip_is_for_kernels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="'glorot' got a variable of shape"):
        WeightClip("glorot")(np.ones(shape, np.float32))
