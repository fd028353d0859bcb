"""The optimizers as Keras optimizers: training, saving, callbacks, and the options of Keras's base class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_bnn.constraints import WeightClip
from keras_bnn.initializers import WeightClipUniform
from keras_bnn.layers import BinaryDense
from keras_bnn.optimizers import Bop, ShiftAdaMax, SplitOptimizer

MAKERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "one": lambda: ShiftAdaMax(2**-6),
    "split": lambda: SplitOptimizer(binary=Bop(1e-4, 0.05), other=keras.optimizers.Adam(0.01)),
}
each_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(21).normal(size=(48, 6)).astype(np.float32)
    return x, np.stack([x[:, 0] - x[:, 1], np.abs(x[:, 2]), x[:, 3:].sum(1)], axis=1)


def small_model() -> keras.Model:
    keras.utils.set_random_seed(22)
    glorot = {"kernel_initializer": WeightClipUniform("glorot"), "kernel_constraint": WeightClip("glorot")}
    return keras.Sequential(
        [
            keras.Input((6,)),
            BinaryDense(7, input_quantizer=None, **glorot),
            keras.layers.BatchNormalization(momentum=0.8),
            BinaryDense(3, use_bias=True, **glorot),
            keras.layers.BatchNormalization(momentum=0.8),
        ]
    )


def fit(model: keras.Model, **options: Any) -> dict[str, list[float]]:
    return model.fit(*data(), **{"batch_size": 8, "epochs": 1, "shuffle": False, "verbose": 0, **options}).history


def state(model: keras.Model) -> list[np.ndarray]:
    return [ops.convert_to_numpy(v).copy() for v in (*model.variables, *model.optimizer.variables)]


def assert_equal_states(model: keras.Model, other: keras.Model) -> None:
    ours, theirs = state(model), state(other)
    assert len(ours) == len(theirs)
    for own, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, their)


def kernels(model: keras.Model) -> list[np.ndarray]:
    return [ops.convert_to_numpy(layer.kernel).copy() for layer in model.layers if hasattr(layer, "kernel")]


def step(optimizer: keras.optimizers.Optimizer, weights: np.ndarray, *gradients: np.ndarray) -> np.ndarray:
    """The weights after one step for each gradient."""
    variable = keras.Variable(weights)
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
    return ops.convert_to_numpy(variable)


WEIGHTS = np.array([[0.25, -0.5, 0.75], [-0.125, 0.5, -0.875]], np.float32)
GRADIENT = np.array([[3.0, -0.5, 0.125], [1.0, 0.0, -2.0]], np.float32)
OTHER_GRADIENT = np.array([[-1.0, -1.5, 0.5], [0.0, 0.25, 4.0]], np.float32)


@each_optimizer
def test_training_lowers_the_loss(make: Callable) -> None:
    model = small_model()
    model.compile(make(), "mse")
    before = kernels(model)
    losses = fit(model, epochs=6)["loss"]
    assert losses[-1] < losses[0]
    assert all(np.any(np.sign(new) != np.sign(old)) for new, old in zip(kernels(model), before, strict=True))


@each_optimizer
def test_a_loaded_model_resumes_as_if_never_saved(make: Callable, tmp_path: Path) -> None:
    straight, interrupted = small_model(), small_model()
    straight.compile(make(), "mse")
    fit(straight, epochs=3)
    interrupted.compile(make(), "mse")
    fit(interrupted, epochs=2)
    interrupted.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    assert type(resumed.optimizer) is type(interrupted.optimizer)
    assert_equal_states(resumed, interrupted)
    fit(resumed)
    assert_equal_states(resumed, straight)


def test_weights_alone_are_saved_and_loaded(tmp_path: Path) -> None:
    model, copy = small_model(), small_model()
    model.compile(MAKERS["split"](), "mse")
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    copy.load_weights(tmp_path / "model.weights.h5")
    for own, their in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(own, their)


@each_optimizer
def test_configuration_round_trip(make: Callable) -> None:
    optimizer = make()
    config = keras.optimizers.serialize(optimizer)
    assert config["registered_name"] == f"keras_bnn>{type(optimizer).__name__}"
    assert keras.optimizers.serialize(keras.optimizers.deserialize(config)) == config


@each_optimizer
def test_state_as_a_list_of_weights(make: Callable) -> None:
    model, copy = small_model(), small_model()
    for each in (model, copy):
        each.compile(make(), "mse")
        each.optimizer.build(each.trainable_variables)
    fit(model)
    copy.set_weights(model.get_weights())
    copy.optimizer.set_weights([ops.convert_to_numpy(v) for v in model.optimizer.variables])
    assert_equal_states(model, copy)


@pytest.fixture
def mixed_float16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@each_optimizer
@pytest.mark.usefixtures("mixed_float16")
def test_mixed_precision_scales_the_loss(make: Callable, tmp_path: Path) -> None:
    model = small_model()
    model.compile(make(), "mse")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    losses = fit(model, epochs=6)["loss"]
    assert losses[-1] < losses[0]
    assert all(kernel.dtype == np.float32 for kernel in kernels(model))
    model.save(tmp_path / "model.keras")
    assert_equal_states(keras.models.load_model(tmp_path / "model.keras"), model)
    keras.config.set_dtype_policy("float32")
    with pytest.warns(UserWarning, match=r"found the state of another optimizer|Skipping variable loading"):
        keras.models.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("make", [lambda: ShiftAdaMax(0.1), lambda: Bop(0.1, 0.7)], ids=["shift_adamax", "bop"])
def test_options_of_the_base_class(make: Callable) -> None:
    def made(**options: Any) -> keras.optimizers.Optimizer:
        return type(make()).from_config({**make().get_config(), **options})

    norm = np.linalg.norm(GRADIENT)
    plain = step(made(), WEIGHTS, GRADIENT)
    assert np.any(plain != WEIGHTS)
    scaled = step(made(), WEIGHTS, GRADIENT / norm)
    np.testing.assert_allclose(step(made(clipnorm=1.0), WEIGHTS, GRADIENT), scaled, rtol=1e-6)
    np.testing.assert_allclose(step(made(global_clipnorm=1.0), WEIGHTS, GRADIENT), scaled, rtol=1e-6)
    clipped = step(made(), WEIGHTS, np.clip(GRADIENT, -0.5, 0.5))
    np.testing.assert_array_equal(step(made(clipvalue=0.5), WEIGHTS, GRADIENT), clipped)
    np.testing.assert_array_equal(step(made(loss_scale_factor=4.0), WEIGHTS, 4 * GRADIENT), plain)

    mean = step(made(), WEIGHTS, (GRADIENT + OTHER_GRADIENT) / 2)
    gathered = made(gradient_accumulation_steps=2)
    np.testing.assert_array_equal(step(gathered, WEIGHTS, GRADIENT, OTHER_GRADIENT), mean)


def test_gradients_are_gathered_over_several_steps() -> None:
    means = [(GRADIENT + OTHER_GRADIENT) / 2, (OTHER_GRADIENT - GRADIENT) / 2]
    gathered = ShiftAdaMax(0.1, gradient_accumulation_steps=2)
    many = step(gathered, WEIGHTS, GRADIENT, OTHER_GRADIENT, OTHER_GRADIENT, -GRADIENT)
    np.testing.assert_allclose(many, step(ShiftAdaMax(0.1), WEIGHTS, *means), rtol=1e-6)


def test_weight_decay_of_shift_adamax() -> None:
    decayed = step(ShiftAdaMax(0.1, weight_decay=0.5), WEIGHTS, GRADIENT)
    np.testing.assert_allclose(decayed, step(ShiftAdaMax(0.1), 0.95 * WEIGHTS, GRADIENT), rtol=1e-6)


def test_averages_are_kept_and_put_in_place() -> None:
    variable, optimizer = keras.Variable(WEIGHTS), ShiftAdaMax(0.1, use_ema=True, ema_momentum=0.75)
    optimizer.apply([ops.convert_to_tensor(GRADIENT)], [variable])
    first = ops.convert_to_numpy(variable).copy()
    optimizer.apply([ops.convert_to_tensor(OTHER_GRADIENT)], [variable])
    second = ops.convert_to_numpy(variable).copy()
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(ops.convert_to_numpy(variable), 0.75 * first + 0.25 * second, rtol=1e-6)


def test_a_schedule_sets_the_steps_of_shift_adamax() -> None:
    halving = keras.optimizers.schedules.ExponentialDecay(2**-3, decay_steps=1, decay_rate=0.5)
    optimizer = ShiftAdaMax(halving, beta_1=0.0, beta_2=0.0)
    gradient = np.ones((1, 1), np.float32)
    assert step(optimizer, 0 * gradient, gradient, gradient, gradient).item() == -(2**-3 + 2**-4 + 2**-5)
    assert ShiftAdaMax.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


@each_optimizer
def test_callbacks_change_the_learning_rate_of_compiled_steps(make: Callable) -> None:
    model = small_model()
    model.compile(make(), "mse")

    def rates() -> list[float]:
        optimizer = model.optimizer
        parts = (optimizer.binary, optimizer.other) if isinstance(optimizer, SplitOptimizer) else (optimizer,)
        return [float(ops.convert_to_numpy(part.learning_rate)) for part in parts]

    before = rates()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=1e9, min_lr=0)
    fit(model, epochs=3, callbacks=[plateau])
    halvings = round(np.log2(before[-1] / rates()[-1]))
    assert halvings >= 2
    np.testing.assert_allclose(rates(), np.array(before) * 0.5**halvings, rtol=1e-6)

    fit(model, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-30)])
    still = kernels(model)
    fit(model)
    for new, old in zip(kernels(model), still, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-12)


def test_constraints_are_applied_once() -> None:
    class Halve(keras.constraints.Constraint):
        def __call__(self, w: Any) -> Any:
            return w * 0.5

    for optimizer in (ShiftAdaMax(), SplitOptimizer("adam", ShiftAdaMax(), is_binary=lambda v: v.name == "kernel")):
        layer = keras.layers.Dense(3, kernel_constraint=Halve(), bias_constraint=Halve(), bias_initializer="ones")
        layer.build((None, 2))
        layer.kernel.assign(WEIGHTS)
        optimizer.apply([ops.zeros((2, 3)), ops.zeros(3)], layer.trainable_variables)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel), WEIGHTS / 2)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.bias), [0.5, 0.5, 0.5])
