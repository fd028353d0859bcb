"""Values and configuration of the constraints."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn import constraints
from keras_bnn.constraints import WeightClip


@pytest.mark.parametrize("clip_value", [1.0, 0.3])
def test_values(clip_value: float) -> None:
    w = np.random.default_rng(5).normal(size=(7, 9)).astype(np.float32)
    w[0, :4] = [-clip_value, clip_value, 0, -0.0]
    clipped = ops.convert_to_numpy(WeightClip(clip_value)(w))
    np.testing.assert_array_equal(clipped, np.clip(w, np.float32(-clip_value), np.float32(clip_value)))
    assert np.any(clipped != w)


def test_get() -> None:
    assert constraints.get("weight_clip").get_config() == {"clip_value": 1.0}
    assert isinstance(constraints.get("non_neg"), keras.constraints.NonNeg)
    assert constraints.get(None) is None


def test_configuration_round_trip() -> None:
    config = keras.constraints.serialize(WeightClip(0.5))
    assert config["registered_name"] == "keras_bnn>WeightClip"
    assert constraints.get(config).get_config() == {"clip_value": 0.5}


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan")])
def test_clip_value_must_be_positive(clip_value: float) -> None:
    with pytest.raises(ValueError, match=f"WeightClip got clip_value={clip_value}: pass a number above 0"):
        WeightClip(clip_value)
