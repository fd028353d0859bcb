"""Which variables SplitOptimizer gives to which optimizer, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn import layers, quantizers
from keras_bnn.optimizers import Bop, ShiftAdaMax, SplitOptimizer, is_binary_kernel


@keras.saving.register_keras_serializable(package="test_optimizer_split")
def is_first(variable: Any) -> bool:
    return "first" in variable.path


def marked(layer: keras.layers.Layer, *input_shape: int) -> list[str]:
    layer.build((None, *input_shape))
    return [variable.name for variable in layer.trainable_variables if is_binary_kernel(variable)]


def small_model() -> keras.Model:
    keras.utils.set_random_seed(31)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, name="first"),
            keras.layers.BatchNormalization(),
            layers.BinaryDense(4, use_bias=True),
            keras.layers.BatchNormalization(),
        ]
    )


def fit(model: keras.Model) -> None:
    generator = np.random.default_rng(32)
    x, y = generator.normal(size=(24, 6)).astype(np.float32), generator.normal(size=(24, 4)).astype(np.float32)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)


def test_binary_kernels_are_known_by_their_layer() -> None:
    assert marked(layers.BinaryDense(3, use_bias=True), 4) == ["kernel"]
    assert marked(layers.BinaryConv2D(3, 2, use_bias=True), 5, 5, 2) == ["kernel"]
    assert marked(layers.BinaryDepthwiseConv2D(2), 5, 5, 2) == ["kernel"]
    assert marked(layers.BinarySeparableConv2D(3, 2), 5, 5, 2) == ["depthwise_kernel", "pointwise_kernel"]
    real_pointwise = layers.BinarySeparableConv2D(3, 2, pointwise_quantizer=None)
    assert marked(real_pointwise, 5, 5, 2) == ["depthwise_kernel"]
    assert marked(keras.layers.Dense(3), 4) == []


@pytest.mark.parametrize(
    ("quantizer", "binary"),
    [
        ("ste_sign", True),
        ("magnitude_aware_sign", True),
        (quantizers.NoOp(precision=1), True),
        (lambda x: ops.sign(x), True),
        (None, False),
        ("no_op", False),
        ("ste_tern", False),
        (quantizers.DoReFa(k_bit=2), False),
    ],
)
def test_a_kernel_is_binary_when_its_quantizer_makes_one_bit(quantizer: Any, binary: bool) -> None:
    assert marked(layers.BinaryDense(3, kernel_quantizer=quantizer), 4) == ["kernel"] * binary


def test_each_optimizer_trains_its_variables() -> None:
    model = small_model()
    before = [ops.convert_to_numpy(variable).copy() for variable in model.trainable_variables]
    model.compile(SplitOptimizer(binary=Bop(0.0, 1.0), other=keras.optimizers.SGD(0.0)), "mse")
    fit(model)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        new = ops.convert_to_numpy(variable)
        if variable is model.layers[2].kernel:
            np.testing.assert_array_equal(np.abs(new), np.ones((5, 4)))
        else:
            np.testing.assert_array_equal(new, old)


def test_two_alike_optimizers_train_as_one(tmp_path: Path) -> None:
    one, split = small_model(), small_model()
    one.compile(keras.optimizers.Adam(0.01), "mse")
    split.compile(SplitOptimizer(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)), "mse")
    fit(one)
    fit(split)
    for own, their in zip(split.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_allclose(own, their, rtol=1e-5, atol=1e-6)
    assert int(ops.convert_to_numpy(split.optimizer.iterations)) == 6
    split.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer.variables
    for own, their in zip(split.optimizer.variables, loaded, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(own), ops.convert_to_numpy(their))


def test_each_optimizer_keeps_its_options() -> None:
    variables = [keras.Variable(np.ones((2, 2), np.float32), name=name) for name in ("first", "last")]
    averaging = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer = SplitOptimizer(averaging, keras.optimizers.SGD(1.0, gradient_accumulation_steps=2), is_first)
    for gradient in (1.0, 3.0):
        optimizer.apply([ops.full((2, 2), gradient, "float32")] * 2, variables)
    assert [float(ops.convert_to_numpy(v)[0, 0]) for v in variables] == [-3, -1]
    optimizer.finalize_variable_values(variables)
    assert [float(ops.convert_to_numpy(v)[0, 0]) for v in variables] == [-1.5, -1]


def test_a_predicate_of_ones_own_is_saved(tmp_path: Path) -> None:
    model = small_model()
    model.compile(SplitOptimizer("adam", "sgd", is_binary=is_first), "mse")
    fit(model)
    model.save(tmp_path / "model.keras")
    optimizer = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert optimizer.is_binary is is_first
    assert [len(part.variables) for part in (optimizer.binary, optimizer.other)] == [2 + 2 * 2, 2]


def test_without_other_variables() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.BinaryDense(4)])
    model.compile(SplitOptimizer(ShiftAdaMax(0.1), "adam"), "mse")
    before = model.get_weights()[0]
    fit(model)
    assert np.any(model.get_weights()[0] != before)


def test_without_binary_kernels() -> None:
    with pytest.raises(ValueError, match="SplitOptimizer found no binary kernel among 1 variables: train layers that"):
        SplitOptimizer(Bop(), "adam").build([keras.Variable(np.ones((2, 2)))])


def test_one_optimizer_cannot_be_both() -> None:
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="got one optimizer as binary and as other"):
        SplitOptimizer(adam, adam)


def test_the_loss_is_scaled_for_both() -> None:
    with pytest.raises(ValueError, match=r"got as other an optimizer that scales the loss.*LossScaleOptimizer\(Split"):
        SplitOptimizer(Bop(), keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))
    with pytest.raises(ValueError, match="got as binary an optimizer that scales the loss"):
        SplitOptimizer(ShiftAdaMax(loss_scale_factor=2.0), "adam")


def test_setting_the_learning_rate_scales_both() -> None:
    optimizer = SplitOptimizer(Bop(gamma=0.25), keras.optimizers.Adam(0.5))
    optimizer.learning_rate = 0.125
    rates = [float(ops.convert_to_numpy(each.learning_rate)) for each in (optimizer, optimizer.binary, optimizer.other)]
    assert rates == [0.125, 0.0625, 0.125]
    optimizer.learning_rate = 0.0  # a warm-up starts there
    optimizer.learning_rate = 0.25
    rates = [float(ops.convert_to_numpy(each.learning_rate)) for each in (optimizer.binary, optimizer.other)]
    assert rates == [0.125, 0.25]
    optimizer = SplitOptimizer(Bop(gamma=0.25), keras.optimizers.Adam(0.0))
    with pytest.raises(ValueError, match=r"got learning_rate=0\.5 to scale both rates by, but that of other is 0\.0"):
        optimizer.learning_rate = 0.5
