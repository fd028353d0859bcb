"""The +1 and -1 of a model: read, saved, loaded, and shown for a while in its variables."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bnn
from keras_bnn.layers import BinaryConv2D, BinaryDense, BinaryDepthwiseConv2D, BinarySeparableConv2D
from keras_bnn.quantizers import MagnitudeAwareSign

LAYERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "dense": lambda: BinaryDense(3, name="layer"),
    "conv": lambda: BinaryConv2D(3, 2, name="layer"),
    "depthwise": lambda: BinaryDepthwiseConv2D(2, name="layer"),
    "separable": lambda: BinarySeparableConv2D(3, 2, name="layer"),
}
KERNELS = {"separable": ["depthwise_kernel", "pointwise_kernel"]}


def values(rng: np.random.Generator, shape: tuple) -> np.ndarray:
    """Latent weights with 0.0 and -0.0 among them."""
    x = rng.normal(0, 0.4, shape).clip(-1, 1).astype(np.float32)
    x[rng.random(shape) < 0.2] = 0.0
    x[rng.random(shape) < 0.2] *= -0.0
    return x


def randomize(model: keras.Model, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(values(rng, tuple(variable.shape)))


def network(name: str = "network") -> keras.Model:
    """A model with a nested one, and two layers of the same name."""
    inner = keras.Sequential([keras.Input((4,)), BinaryDense(4, name="hidden")], name="inner")
    inputs = keras.Input((6,))
    outputs = inner(BinaryDense(4, name="hidden", use_bias=True)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="real")(outputs), name=name)
    randomize(model)
    return model


def latent(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in model.weights]


def bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("kind", LAYERS)
def test_reads_the_signs_of_every_layer(kind: str) -> None:
    model = keras.Sequential([keras.Input((4, 4, 7)), LAYERS[kind](), keras.layers.Conv2D(1, 1)])
    randomize(model)
    before = latent(model)
    weights = keras_bnn.binary_weights(model)
    names = KERNELS.get(kind, ["kernel"])
    assert [path.split("/")[-2:] for path in weights] == [["layer", name] for name in names]
    for name, signs in zip(names, weights.values(), strict=True):
        kernel = getattr(model.layers[0], name).numpy()
        assert signs.dtype == np.int8
        np.testing.assert_array_equal(signs, np.where(kernel < 0, -1, 1))
        assert set(np.unique(signs)) == {-1, 1}
    assert bits(latent(model)) == bits(before)
    with keras_bnn.quantized_scope(model):
        for name, signs in zip(names, weights.values(), strict=True):
            np.testing.assert_array_equal(getattr(model.layers[0], name).numpy(), signs)


def test_reads_scaled_and_ternary_weights() -> None:
    scaled = BinaryDense(3, kernel_quantizer=MagnitudeAwareSign(), name="scaled")
    ternary = BinaryDense(3, kernel_quantizer="ste_tern", name="ternary")
    real = BinaryDense(3, kernel_quantizer="no_op", name="real")
    model = keras.Sequential([keras.Input((5,)), scaled, ternary, real, BinaryDense(3, kernel_quantizer=None)])
    randomize(model)
    weights = list(keras_bnn.binary_weights(model).values())
    assert [array.dtype for array in weights] == [np.float32, np.int8]
    w = scaled.kernel.numpy()
    np.testing.assert_allclose(weights[0], np.abs(w).mean(0) * np.where(w < 0, -1, 1), rtol=1e-6)
    assert set(np.unique(weights[1])) == {-1, 0, 1}


def test_saves_and_loads(tmp_path: Path) -> None:
    model, other = network(), network()
    randomize(other, seed=2)
    x = np.random.default_rng(3).normal(size=(7, 6)).astype(np.float32)
    weights = keras_bnn.binary_weights(model)
    assert len(weights) == 2  # though both kernels may have one path
    np.savez(tmp_path / "weights.npz", **weights)
    with np.load(tmp_path / "weights.npz") as loaded:
        keras_bnn.set_binary_weights(other, loaded)
    assert all(np.abs(layer.kernel.numpy()).max() <= 1 for layer in (other.layers[1], other.layers[2].layers[0]))
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        if not hasattr(mine, "quantizer"):  # the real-valued rest
            theirs.assign(mine.numpy())
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_loaded_weights_stay_within_the_constraint() -> None:
    layer = BinaryDense(3, kernel_constraint=keras_bnn.constraints.WeightClip(0.25))
    layer.build((None, 4))
    signs = np.where(np.random.default_rng(4).random((4, 3)) < 0.5, np.int8(-1), np.int8(1))
    keras_bnn.set_binary_weights(layer, {layer.kernel.path: signs})
    np.testing.assert_array_equal(layer.kernel.numpy(), signs * np.float32(0.25))


def test_loading_names_what_is_wrong() -> None:
    model = network()
    weights, before = keras_bnn.binary_weights(model), latent(model)
    first, second = weights
    with pytest.raises(ValueError, match="named 'elsewhere' where the model has kernels named 'hidden"):
        keras_bnn.set_binary_weights(model, {"elsewhere": weights[first], second: weights[second]})
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        keras_bnn.set_binary_weights(model, {first: weights[first], second: np.ones((2, 3))})
    with pytest.raises(ValueError, match="cannot make"):
        keras_bnn.set_binary_weights(model, {first: weights[first], second: weights[second] * 0.5})
    with pytest.raises(ValueError, match="no weights yet"):
        keras_bnn.binary_weights(BinaryDense(3))
    assert bits(latent(model)) == bits(before)


def test_scope_shows_and_saves_the_signs(tmp_path: Path) -> None:
    model = network()
    x = np.random.default_rng(3).normal(size=(7, 6)).astype(np.float32)
    before, predictions = latent(model), model.predict(x, verbose=0)
    with keras_bnn.quantized_scope(model):
        assert set(np.unique(model.layers[1].get_weights()[0])) == {-1, 1}
        assert not set(np.unique(model.layers[-1].kernel.numpy())) <= {-1, 1}
        np.testing.assert_array_equal(model.predict(x, verbose=0), predictions)
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.weights.h5")
    assert bits(latent(model)) == bits(before)
    np.testing.assert_array_equal(model.predict(x, verbose=0), predictions)

    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), predictions)
    other = network()
    other.load_weights(tmp_path / "model.weights.h5")
    for one in (loaded, other):
        kernels = [one.layers[1].kernel.numpy(), one.layers[2].layers[0].kernel.numpy()]
        for kernel, signs in zip(kernels, keras_bnn.binary_weights(model).values(), strict=True):
            np.testing.assert_array_equal(kernel, signs)


def test_scope_restores_after_an_exception_and_nested() -> None:
    model = network()
    before, inner = latent(model), model.layers[2]

    def fail() -> None:
        with keras_bnn.quantized_scope(model):
            with keras_bnn.quantized_scope(inner), keras_bnn.quantized_scope(model):
                pass
            assert set(np.unique(inner.layers[0].kernel.numpy())) == {-1, 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert bits(latent(model)) == bits(before)


def test_scope_refuses_training_and_assignments() -> None:
    model = network()
    model.compile("adam", "mse")
    x, y, before = np.ones((4, 6)), np.ones((4, 2)), latent(model)
    with keras_bnn.quantized_scope(model):
        with pytest.raises(RuntimeError, match="call fit outside"):
            model.fit(x, y, verbose=0)
        with pytest.raises(RuntimeError, match="call fit outside"):
            model.train_on_batch(x, y)
        model.evaluate(x, y, verbose=0)
    assert bits(latent(model)) == bits(before)
    with pytest.raises(RuntimeError, match="was changed within quantized_scope"), keras_bnn.quantized_scope(model):
        model.layers[1].kernel.assign(np.full((6, 4), 0.5))
    assert bits(latent(model)) == bits(before)
    model.fit(x, y, verbose=0)
    assert bits(latent(model)) != bits(before)


def test_scope_refuses_training_of_a_model_inside() -> None:
    model = network()
    inner, before = model.layers[2], latent(model)
    inner.compile("adam", "mse")
    with keras_bnn.quantized_scope(model), pytest.raises(RuntimeError, match="'inner' was to be trained within"):
        inner.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0)
    assert bits(latent(model)) == bits(before)
    inner.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0)
    assert bits(latent(model)) != bits(before)


def test_scope_within_fit_leaves_the_training_alone() -> None:
    x, y = np.random.default_rng(6).normal(size=(2, 24, 6)).astype(np.float32)

    def train(callbacks: list) -> list[bytes]:
        model = network()
        model.compile(keras.optimizers.SGD(0.05), "mse")
        model.fit(x, y[:, :2], 8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        return bits(latent(model))

    class Look(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            with keras_bnn.quantized_scope(self.model):
                self.seen += set(np.unique(self.model.layers[1].get_weights()[0])) == {-1, 1}

    look = Look()
    assert train([look]) == train([])
    assert look.seen == 6


def test_scope_warns_of_a_quantizer_that_changes_its_outputs() -> None:
    def shifted(w: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.where(w < 0.5, -0.5, 1.0)

    def halved(w: keras.KerasTensor) -> keras.KerasTensor:
        return w / 2

    def warnings_of(quantizer: Callable) -> list[str]:
        layer = BinaryDense(3, kernel_quantizer=quantizer)
        layer.build((None, 4))
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always", UserWarning)
            with keras_bnn.quantized_scope(layer):
                pass
        return [one.filename for one in record if "other values of its own outputs" in str(one.message)]

    assert warnings_of(shifted) == []
    assert warnings_of(halved) == [__file__]


def test_scopes_in_many_threads() -> None:
    """On one model and on another, while a further thread runs the first one."""
    model, other = network(), network()
    x = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    before, predictions = [bits(latent(one)) for one in (model, other)], keras.ops.convert_to_numpy(model(x))
    start, errors = threading.Barrier(5), []

    def look(one: keras.Model) -> None:
        for _ in range(20):
            with keras_bnn.quantized_scope(one):
                assert set(np.unique(one.layers[1].get_weights()[0])) == {-1, 1}

    def run(one: keras.Model) -> None:
        for _ in range(20):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(one(x)), predictions)

    def guarded(task: Callable, one: keras.Model) -> None:
        start.wait()
        try:
            task(one)
        except BaseException as error:
            errors.append(error)

    tasks = [(look, model), (look, model), (look, other), (look, other), (run, model)]
    threads = [threading.Thread(target=guarded, args=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [bits(latent(one)) for one in (model, other)] == before
