"""Quantizers with state inside layers: built, trained, saved, cloned, and refused to a second layer."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from support.sign_arithmetic import sign

from keras_bnn import layers
from keras_bnn.initializers import WeightClipUniform
from keras_bnn.layers import BinaryConv2D, BinaryDense, BinarySeparableConv2D, Quantize, RSign
from keras_bnn.quantizers import DoReFa, SteSign, StochasticSign, dorefa

LAYERS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "BinaryDense": ({"units": 3}, (2, 4)),
    "BinaryConv1D": ({"filters": 3, "kernel_size": 2}, (2, 3, 4)),
    "BinaryConv2D": ({"filters": 3, "kernel_size": 2}, (2, 3, 3, 4)),
    "BinaryConv3D": ({"filters": 3, "kernel_size": 2}, (2, 3, 3, 3, 4)),
    "BinaryDepthwiseConv2D": ({"kernel_size": 2}, (2, 3, 3, 4)),
    "BinarySeparableConv2D": ({"filters": 3, "kernel_size": 2}, (2, 3, 3, 4)),
    "BinaryConv2DTranspose": ({"filters": 3, "kernel_size": 2}, (2, 3, 3, 4)),
    "Quantize": ({}, (2, 3, 4)),
}


def make(name: str, quantizer: Any, **arguments: Any) -> keras.layers.Layer:
    role = "quantizer" if name == "Quantize" else "input_quantizer"
    return getattr(layers, name)(**LAYERS[name][0], **{role: quantizer}, **arguments)


@pytest.mark.parametrize("name", LAYERS)
def test_thresholds_are_built_and_trainable_and_shift_the_sign(name: str) -> None:
    shape = LAYERS[name][1]
    quantizer = RSign()
    layer = make(name, quantizer)
    layer.build(shape)
    assert quantizer.threshold.shape == (4,)
    assert any(variable is quantizer.threshold for variable in layer.trainable_variables)
    threshold = np.float32([-1, 0, 0.5, 2])
    quantizer.threshold.assign(threshold)
    plain = make(name, SteSign())
    plain.build(shape)
    plain.set_weights([weight for weight in layer.get_weights() if weight.shape != (4,)])
    x = np.random.default_rng(40).normal(size=shape).astype(np.float32)
    x[0, ..., 2] = 0.5  # on the threshold
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), ops.convert_to_numpy(plain(sign(x - threshold))))


@pytest.mark.parametrize("name", LAYERS)
def test_signs_are_random_in_training_alone(name: str) -> None:
    shape = LAYERS[name][1]
    layer, plain = make(name, StochasticSign(1)), make(name, SteSign())
    layer.build(shape)
    plain.build(shape)
    plain.set_weights(layer.get_weights())
    x = np.random.default_rng(41).normal(0, 0.3, shape).astype(np.float32)
    expected = ops.convert_to_numpy(plain(x))
    model = keras.Sequential([keras.Input(shape[1:]), layer])  # tells its layers
    for called in (layer, model):
        for training in (False, None):
            np.testing.assert_array_equal(ops.convert_to_numpy(called(x, training=training)), expected)
        drawn = [ops.convert_to_numpy(called(x, training=True)) for _ in range(2)]
        assert np.any(drawn[0] != drawn[1])
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


@pytest.mark.parametrize(
    "layer",
    [
        lambda quantizer: BinaryDense(3, kernel_quantizer=quantizer),
        lambda quantizer: BinarySeparableConv2D(3, 2, depthwise_quantizer=quantizer),
        lambda quantizer: BinarySeparableConv2D(3, 2, pointwise_quantizer=quantizer),
    ],
)
def test_kernels_are_random_in_training_alone(layer: Any) -> None:
    made = layer(StochasticSign(1))
    x = np.ones((2, 3, 3, 4), np.float32)
    made.build(x.shape)
    for kernel, quantizer in made.quantized_kernels():
        kernel.assign(np.full(kernel.shape, -0.1 if isinstance(quantizer, StochasticSign) else 1))
    still = ops.convert_to_numpy(made(x))
    np.testing.assert_array_equal(still, np.broadcast_to(still.flat[0], still.shape))
    drawn = [ops.convert_to_numpy(made(x, training=True)) for _ in range(4)]
    assert any(np.any(y != still) for y in drawn)
    assert any(np.any(y != drawn[0]) for y in drawn)


def blocks() -> list[keras.layers.Layer]:
    return [
        BinaryConv2D(6, 3, input_quantizer=None),
        layers.ShiftBatchNormalization(),
        layers.RPReLU(),
        BinarySeparableConv2D(5, 2, input_quantizer=RSign(), use_bias=True),
        layers.ShiftBatchNormalization(),
        Quantize(RSign()),
        layers.BinaryConv2DTranspose(4, 2, input_quantizer=StochasticSign(3)),
        layers.ShiftBatchNormalization(),
        layers.BinaryDepthwiseConv2D(2, input_quantizer="learned_threshold_sign"),
        keras.layers.Flatten(),
        BinaryDense(3),
    ]


def randomized() -> keras.Model:
    """A model whose every variable has a value of its own, none the initial one."""
    model = keras.Sequential([keras.Input((7, 6, 2)), *blocks()])
    rng = np.random.default_rng(42)
    model.set_weights([rng.uniform(0.2, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    return model


X = np.random.default_rng(43).normal(size=(5, 7, 6, 2)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_saved_model_scores_the_same_without_compiling(suffix: str, tmp_path: Path) -> None:
    model = randomized()
    expected = model.predict(X, verbose=0)
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
        loaded = keras.models.load_model(path)
    else:
        model.save_weights(path)
        loaded = keras.Sequential([keras.Input((7, 6, 2)), *blocks()])
        loaded.load_weights(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)


def test_a_cloned_model_has_quantizers_of_its_own() -> None:
    model = randomized()
    copy = keras.models.clone_model(model)
    assert len(copy.weights) == len(model.weights)
    ours = {id(variable) for variable in model.variables}
    assert not any(id(variable) in ours for variable in copy.variables)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))


def test_one_quantizer_without_weights_may_serve_many_layers(tmp_path: Path) -> None:
    for shared in (SteSign(0.5), StochasticSign(4)):
        dense = [BinaryDense(4, input_quantizer=shared, kernel_quantizer=shared) for _ in range(2)]
        model = keras.Sequential([keras.Input((4,)), *dense, Quantize(shared)])
        model.compile("sgd", "mse")
        x = np.random.default_rng(44).normal(size=(3, 4)).astype(np.float32)
        model.train_on_batch(x, x)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_one_quantizer_with_weights_serves_one_layer() -> None:
    shared = RSign()
    first = BinaryDense(4, input_quantizer=shared, name="first")
    first.build((None, 4))
    message = (
        "The layer 'second' got as input_quantizer a LearnedThresholdSign with weights that is the input_quantizer of "
        "'first': make a LearnedThresholdSign of its own for each layer."
    )
    with pytest.raises(ValueError, match=message):
        BinaryDense(4, input_quantizer=shared, name="second").build((None, 4))
    with pytest.raises(ValueError, match="'second' got as quantizer a LearnedThresholdSign"):
        Quantize(shared, name="second").build((None, 4))
    own = RSign()
    both = BinaryDense(4, input_quantizer=own, kernel_quantizer=own, name="both")
    with pytest.raises(ValueError, match=r"as kernel_quantizer .* that is the input_quantizer of 'both'"):
        both.build((None, 4))


def test_a_layer_that_serves_twice_keeps_its_quantizer() -> None:
    layer = BinaryDense(4, input_quantizer=RSign())
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layer(layer(inputs)))
    assert len(model.weights) == 2


def test_a_quantizer_outlives_its_layer() -> None:
    quantizer = RSign()
    first = BinaryDense(4, input_quantizer=quantizer)
    first.build((None, 4))
    del first
    gc.collect()
    BinaryDense(4, input_quantizer=quantizer).build((None, 4))


def test_mixed_precision_compares_with_float32_thresholds() -> None:
    layer = BinaryDense(1, input_quantizer=RSign(), dtype="mixed_bfloat16", kernel_initializer="ones")
    layer.build((None, 1))
    layer.input_quantizer.threshold.assign([1.001])  # bfloat16 rounds it to 1
    y = layer(np.float32([[1.0], [1.01]]))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(y, "float32")), [[-1], [1]])


@pytest.mark.parametrize("identifier", ["dorefa", "DoReFa", dorefa, DoReFa])
def test_a_name_stands_for_what_is_meant_for_kernels(identifier: Any) -> None:
    layer = BinaryDense(5, input_quantizer=identifier, kernel_quantizer=identifier)
    assert (layer.input_quantizer.mode, layer.kernel_quantizer.mode) == ("activations", "weights")
    layer.build((None, 40))
    values = ops.convert_to_numpy(layer.quantized_kernel())
    assert values.min() == -1
    assert values.max() == 1


SCALED = {  # the axes of the kernel that count output channels
    "BinaryDense": ({"units": 3}, (2, 4), (1,)),
    "BinaryConv2D": ({"filters": 3, "kernel_size": 2}, (2, 5, 5, 4), (3,)),
    "BinaryConv2DTranspose": ({"filters": 3, "kernel_size": 2}, (2, 5, 5, 4), (2,)),
    "BinaryDepthwiseConv2D": ({"kernel_size": 2, "depth_multiplier": 3}, (2, 5, 5, 4), (2, 3)),
}


@pytest.mark.parametrize("name", SCALED)
def test_each_output_channel_has_its_own_scale(name: str) -> None:
    arguments, shape, axes = SCALED[name]
    role = "depthwise" if "Depthwise" in name else "kernel"
    layer = getattr(layers, name)(**arguments, **{f"{role}_quantizer": "magnitude_aware_sign"})
    layer.build(shape)
    kernel = ops.convert_to_numpy(layer.kernel)
    others = tuple(axis for axis in range(kernel.ndim) if axis not in axes)
    expected = sign(kernel) * np.abs(kernel).mean(others, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.quantized_kernel(role)), expected, rtol=1e-6)
    assert len(np.unique(np.abs(expected))) == np.prod([kernel.shape[axis] for axis in axes])


def test_initializers_have_names() -> None:
    layer = BinarySeparableConv2D(
        3, 2, depthwise_initializer="weight_clip_uniform", pointwise_initializer="weight_clip_uniform"
    )
    assert isinstance(layer.depthwise_initializer, WeightClipUniform)
    assert isinstance(layer.pointwise_initializer, WeightClipUniform)


def test_a_tiny_negative_number_keeps_its_sign_in_a_quantize_layer() -> None:
    layer = Quantize(dtype="mixed_float16")
    y = layer(np.array([-1e-9, 1e-9, -0.0], np.float32))
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    assert ops.convert_to_numpy(y).tolist() == [-1, 1, 1]
