"""Values and configuration of the initializers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn.constraints import WeightClip
from keras_bnn.initializers import WeightClipUniform


@pytest.mark.parametrize(
    ("clip_value", "shape", "bound"),
    [
        (1.0, (60, 70), 1.0),
        (0.25, (60, 70), 0.25),
        ("glorot", (60, 70), np.sqrt(1.5 / 130)),
        ("glorot", (3, 5, 20, 10), np.sqrt(1.5 / (15 * 30))),
    ],
)
def test_values_are_uniform_between_the_clip_values(clip_value: float | str, shape: tuple, bound: float) -> None:
    w = ops.convert_to_numpy(WeightClipUniform(clip_value, seed=3)(shape))
    assert w.shape == shape
    assert w.dtype == np.float32
    # The quantiles of a uniform distribution lie on a line; 3000 draws are off it by at most 0.03 almost surely.
    np.testing.assert_allclose(np.quantile(w / bound, np.linspace(0, 1, 21)), np.linspace(-1, 1, 21), atol=0.06)
    np.testing.assert_array_equal(ops.convert_to_numpy(WeightClip(clip_value)(w)), w)


def test_the_glorot_bound_is_half_that_of_keras() -> None:
    ours, theirs = WeightClipUniform("glorot", seed=3), keras.initializers.GlorotUniform(seed=3)
    np.testing.assert_allclose(
        2 * ops.convert_to_numpy(ours((3, 2, 7, 5))), ops.convert_to_numpy(theirs((3, 2, 7, 5))), rtol=1e-6, atol=1e-7
    )


def test_dtype() -> None:
    assert keras.backend.standardize_dtype(WeightClipUniform("glorot")((3, 4), dtype="float16").dtype) == "float16"


def test_seeds() -> None:
    def draw(seed: object) -> np.ndarray:
        return ops.convert_to_numpy(WeightClipUniform(seed=seed)((4, 5)))

    np.testing.assert_array_equal(draw(3), draw(3))
    assert np.any(draw(3) != draw(4))
    assert np.any(draw(None) != draw(None))


@pytest.mark.parametrize("clip_value", [0.5, "glorot"])
def test_configuration_round_trip(clip_value: float | str) -> None:
    config = keras.initializers.serialize(WeightClipUniform(clip_value, seed=7))
    assert config["registered_name"] == "keras_bnn>WeightClipUniform"
    assert keras.initializers.get(config).get_config() == {"clip_value": clip_value, "seed": 7}


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan"), "he"])
def test_clip_value_must_be_positive_or_glorot(clip_value: float | str) -> None:
    with pytest.raises(ValueError, match=f"WeightClipUniform got clip_value={clip_value!r}: pass a number above 0"):
        WeightClipUniform(clip_value)


def test_the_glorot_bound_is_for_kernels() -> None:
    with pytest.raises(ValueError, match=r"'glorot' got a variable of shape \(5,\): it needs a kernel"):
        WeightClipUniform("glorot")((5,))
