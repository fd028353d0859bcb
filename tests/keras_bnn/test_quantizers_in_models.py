"""Each quantizer in a dense layer and in a convolution: trained for a step, saved, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_bnn import quantizers
from keras_bnn.layers import BinaryConv2D, BinaryDense
from keras_bnn.quantizers import DoReFa, MagnitudeAwareSign, NoOp, SteSign, SteTern, SwishSign

X = np.random.default_rng(21).normal(0.1, 0.8, (5, 6, 6, 2)).astype(np.float32)

ON_JAX = keras.backend.backend() == "jax"  # slow op by op, whereas the others take their time to compile

# name: (quantizer of the inputs, of the kernels)
PAIRS: dict[str, tuple[Any, Any]] = {
    "ste_sign": ("ste_sign", SteSign(0.7)),
    "stochastic_sign": ("stochastic_sign", "stochastic_sign"),
    "approx_sign": ("approx_sign", "approx_sign"),
    "swish_sign": ("swish_sign", SwishSign(2.0)),
    "magnitude_aware_sign": ("ste_sign", MagnitudeAwareSign(0.7)),
    "ste_tern": ("ste_tern", SteTern(None)),
    "ste_heaviside": ("ste_heaviside", "ste_heaviside"),
    "dorefa": (DoReFa(2), DoReFa(3, "weights")),
    "learned_threshold_sign": ("learned_threshold_sign", "approx_sign"),
    "no_op": ("no_op", NoOp(1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_save_load_predict(name: str, tmp_path: Path) -> None:
    inputs, kernel = PAIRS[name]
    assert set(PAIRS) == set(quantizers._BY_NAME)
    keras.utils.set_random_seed(2)
    layers = [
        BinaryConv2D(4, 3, input_quantizer=inputs, kernel_quantizer=kernel),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        BinaryDense(3, input_quantizer=inputs, kernel_quantizer=kernel),
    ]
    model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=not ON_JAX)
    untrained = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    model.train_on_batch(X, np.ones((5, 3), np.float32))
    for before, after in zip(untrained, model.trainable_weights, strict=True):
        trained = keras.ops.convert_to_numpy(after)
        assert np.isfinite(trained).all()
        assert np.any(before != trained), f"no gradient reaches {after.path}"

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [type(layer.kernel_quantizer) for layer in (loaded.layers[0], loaded.layers[3])] == [
        type(quantizers.get(kernel))
    ] * 2
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
