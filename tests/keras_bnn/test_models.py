"""Binary layers in whole models: training, saving, compilation, precision."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bnn.layers import BinaryConv2D, BinaryDense, Quantize


def blocks() -> list[keras.layers.Layer]:
    return [
        BinaryConv2D(8, 3, padding="same", input_quantizer=None),
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.MaxPooling2D(),
        BinaryConv2D(8, 3, padding="same", pad_value=1, strides=2, groups=2),
        keras.layers.BatchNormalization(momentum=0.5),
        Quantize(),
        keras.layers.Flatten(),
        BinaryDense(3, input_quantizer=None),
        keras.layers.BatchNormalization(momentum=0.5),
    ]


@keras.saving.register_keras_serializable(package="keras_bnn_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.blocks = blocks()

    def call(self, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        for block in self.blocks:
            x = block(x, training=training) if isinstance(block, keras.layers.BatchNormalization) else block(x)
        return x


def make_model(kind: str) -> keras.Model:
    keras.utils.set_random_seed(11)
    if kind == "subclassed":
        return Subclassed()
    if kind == "sequential":
        return keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    outputs = inputs = keras.Input((8, 8, 1))
    for block in blocks():
        outputs = block(outputs)
    return keras.Model(inputs, outputs)


def stripes() -> tuple[np.ndarray, np.ndarray]:
    """Noisy images with horizontal, vertical or diagonal stripes, and which of them it is, one-hot."""
    rng = np.random.default_rng(12)
    row, column = np.mgrid[:8, :8]
    patterns = np.stack([row % 2, column % 2, (row + column) // 2 % 2]) * 2.0 - 1
    labels = rng.integers(0, 3, 192)
    images = patterns[labels] + rng.normal(0, 0.7, (192, 8, 8))
    return images[..., np.newaxis].astype(np.float32), np.eye(3, dtype=np.float32)[labels]


# What trains a small model sooner: JAX is slow op by op, and TensorFlow takes its time to compile.
JIT_COMPILE = keras.backend.backend() == "jax"
# torch.compile takes a minute for such a model.
SLOW_ON_TORCH = pytest.mark.slow if keras.backend.backend() == "torch" else lambda test: test


def train(model: keras.Model, jit_compile: bool = JIT_COMPILE, epochs: int = 8) -> list[float]:
    x, y = stripes()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    falling_rate = keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=24, decay_rate=0.1)
    model.compile(keras.optimizers.Adam(falling_rate), loss, jit_compile=jit_compile)
    return model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.parametrize("kind", ["sequential", "functional", "subclassed"])
def test_train_save_and_load(kind: str, tmp_path: Path) -> None:
    model, (x, _) = make_model(kind), stripes()
    losses = train(model)
    assert losses[-1] < 0.7 * losses[0]
    predictions = model.predict(x, verbose=0)
    kernels = [np.asarray(w) for layer in model._flatten_layers() for w in layer.weights if w.name == "kernel"]
    assert max(np.abs(kernel).max() for kernel in kernels) <= 1

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), predictions)
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@SLOW_ON_TORCH
def test_train_compiled_the_other_way() -> None:
    losses = train(make_model("sequential"), jit_compile=not JIT_COMPILE, epochs=3)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_train_in_mixed_precision(policy: str) -> None:
    keras.utils.set_random_seed(11)
    keras.config.set_dtype_policy(policy)
    try:
        # Dense layers only: some backends are slow at float16 convolutions on a CPU.
        hidden, outputs = BinaryDense(32, input_quantizer=None), BinaryDense(3)
        normalization = keras.layers.BatchNormalization
        layers = [keras.layers.Flatten(), hidden, normalization(), outputs, normalization()]
        model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    finally:
        keras.config.set_dtype_policy("float32")
    losses = train(model)
    assert losses[-1] < 0.7 * losses[0]
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
