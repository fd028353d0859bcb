"""The callbacks in real trainings of tiny models, against numpy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bnn.callbacks import (
    FlipRatioLogger,
    HyperparameterScheduler,
    SettleBatchNormalization,
    settle_batch_normalization,
)
from keras_bnn.layers import BinaryConv2D, BinaryDense, ShiftBatchNormalization
from keras_bnn.optimizers import Bop, SplitOptimizer
from keras_bnn.quantizers import SteSign

BACKEND = keras.backend.backend()
SUPPORT = Path(__file__).parents[1] / "support"


def data(count: int = 44) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(count, 5, 5, 2)).astype(np.float32), rng.normal(size=(count, 3)).astype(np.float32)


def network() -> keras.Model:
    """A functional model with a nested one, two binary layers with one quantizer, and dropout."""
    keras.utils.set_random_seed(3)
    quantizer = SteSign()
    first = BinaryConv2D(4, 3, input_quantizer=None, kernel_quantizer=quantizer, name="first")
    inner = keras.Sequential(
        [keras.Input((3, 3, 4)), keras.layers.BatchNormalization(name="norm"), keras.layers.Dropout(0.5)]
    )
    second = BinaryDense(3, kernel_quantizer=quantizer, name="second")
    inputs = keras.Input((5, 5, 2))
    hidden = keras.layers.Flatten()(inner(first(inputs)))
    return keras.Model(inputs, keras.layers.BatchNormalization(name="last_norm")(second(hidden)))


class Watch(keras.callbacks.Callback):
    """Keeps, after each update, what a function of the model returns; one list an epoch."""

    def __init__(self, look: Callable[[keras.Model], object]) -> None:
        super().__init__()
        self.look = look
        self.seen: list[list] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.before = self.look(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.seen.append([])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen[-1].append(self.look(self.model))


def signs(model: keras.Model) -> list[np.ndarray]:
    return [model.get_layer(name).kernel.numpy() < 0 for name in ("first", "second")]


# What is slow of a small model: JAX op by op, and torch.compile.
SLOW = {"jax": False, "torch": True}.get(BACKEND)


@pytest.mark.parametrize(
    "jit_compile", [pytest.param(jit, marks=pytest.mark.slow if jit is SLOW else ()) for jit in (False, True)]
)
def test_flip_ratio_in_fit(jit_compile: bool, capsys: pytest.CaptureFixture) -> None:
    model, (x, y), watch = network(), data(), Watch(signs)
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=jit_compile)
    callbacks = [FlipRatioLogger(per_kernel=True), watch]
    logs = model.fit(x, y, 16, epochs=3, validation_split=0.1, callbacks=callbacks, verbose=2).history
    last = watch.before
    for epoch, after in enumerate(watch.seen):
        counts = []
        for now in after:
            counts.append([np.sum(a != b) for a, b in zip(last, now, strict=True)])
            last = now
        first, second = np.mean(counts, axis=0)
        expected = [first / 72, second / 108, (first + second) / 180]
        names = ["flip_ratio/first/kernel", "flip_ratio/second/kernel", "flip_ratio"]
        assert [logs[name][epoch] for name in names] == pytest.approx(expected, rel=1e-6)
    assert len(watch.seen) == 3
    assert logs["flip_ratio"][0] > 0.02
    assert capsys.readouterr().out.count(" flip_ratio:") == 3


@pytest.mark.parametrize("kind", ["plain", "split", "scaled"])
def test_flip_ratio_counts_updates_where_gradients_are_accumulated(kind: str) -> None:
    optimizer = keras.optimizers.Adam(0.05, gradient_accumulation_steps=2)
    if kind == "split":
        other = keras.optimizers.SGD(0.05)
        optimizer = SplitOptimizer(binary=Bop(1e-8, gradient_accumulation_steps=2), other=other)
    if kind == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0)
    model, (x, y), watch = network(), data(48), Watch(signs)
    model.compile(optimizer, "mse", jit_compile=BACKEND == "jax")
    logs = model.fit(x, y, 8, epochs=2, callbacks=[FlipRatioLogger(), watch], verbose=0).history
    last = watch.before
    for epoch, after in enumerate(watch.seen):
        flips = []
        for now in after:
            flips.append(sum(int(np.sum(a != b)) for a, b in zip(last, now, strict=True)))
            last = now
        assert flips[::2] == [0, 0, 0]
        assert logs["flip_ratio"][epoch] == pytest.approx(np.mean(flips[1::2]) / 180, rel=1e-6)
    assert logs["flip_ratio"][0] > 0.02


@pytest.mark.skipif(BACKEND == "torch", reason="Keras runs one device on torch")
def test_on_two_devices() -> None:
    environment = {**os.environ, "KERAS_BACKEND": BACKEND}
    command = [sys.executable, str(SUPPORT / "two_devices.py")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["counted"][0] > 0.1
    assert result["flip_ratio"] == pytest.approx(result["counted"], rel=1e-5)
    assert result["learning_rate"] == [2.0**-2, 2.0**-5, 2.0**-8]
    np.testing.assert_allclose(result["moving"], result["moments"], rtol=1e-5, atol=1e-6)


def test_flip_ratio_names_what_is_wrong() -> None:
    x, y = data()
    model = keras.Sequential([keras.Input((5, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no binary kernel"):
        model.fit(x, y, verbose=0, callbacks=[FlipRatioLogger()])
    if BACKEND != "torch":
        model = network()
        model.compile("sgd", "mse", steps_per_execution=2)
        with pytest.raises(ValueError, match="steps_per_execution=1"):
            model.fit(x, y, verbose=0, callbacks=[FlipRatioLogger()])


def fit(optimizer: keras.optimizers.Optimizer, *callbacks: keras.callbacks.Callback, **options: object) -> dict:
    """Trains a small model for three epochs of three steps."""
    keras.utils.set_random_seed(3)
    layers = [BinaryDense(3, use_bias=True, name="second"), keras.layers.BatchNormalization(name="last_norm")]
    model = keras.Sequential([keras.Input((50,)), *layers])
    model.compile(optimizer, "mse", **options)
    x, y = data()
    return model.fit(x.reshape(-1, 50), y, 16, epochs=3, verbose=0, callbacks=callbacks).history


def test_schedule_by_epoch_reaches_the_compiled_step(capsys: pytest.CaptureFixture) -> None:
    schedule = HyperparameterScheduler("learning_rate", lambda epoch: [0.0, 0.25, 0.0][epoch], verbose=1)
    watch = Watch(lambda model: model.get_layer("last_norm").beta.numpy())
    logs = fit(keras.optimizers.SGD(1.0), schedule, watch, jit_compile=BACKEND == "jax")
    assert logs["learning_rate"] == [0, 0.25, 0]
    moved = [[not np.array_equal(beta, watch.before) for beta in epoch] for epoch in watch.seen]
    assert moved == [[False] * 3, [True] * 3, [True] * 3]
    assert np.array_equal(watch.seen[1][-1], watch.seen[2][-1])
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 2: learning_rate is set to 0.25."


def test_schedule_by_step_takes_a_keras_schedule() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 4], [0.5, 0.25, 0.125])
    watch = Watch(lambda model: float(model.optimizer.learning_rate.numpy()))
    logs = fit(keras.optimizers.SGD(1.0), HyperparameterScheduler("learning_rate", schedule, every="step"), watch)
    assert watch.seen == [[0.5, 0.5, 0.25], [0.25, 0.25, 0.125], [0.125] * 3]
    assert logs["learning_rate"] == [0.25, 0.125, 0.125]


def test_schedule_within_a_split_optimizer() -> None:
    optimizer = SplitOptimizer(binary=Bop(threshold=1e-8), other=keras.optimizers.Adam())
    threshold = HyperparameterScheduler("binary.threshold", lambda epoch: [0.0, 1e9][epoch > 0])
    rate = HyperparameterScheduler("other.learning_rate", lambda epoch: 0.5**epoch)
    logs = fit(optimizer, threshold, rate, FlipRatioLogger())
    assert logs["binary.threshold"] == [0, 1e9, 1e9]
    assert logs["other.learning_rate"] == [1, 0.5, 0.25]
    assert logs["flip_ratio"][0] > 0.1  # of a threshold of 0; the highest one stops all flips
    assert logs["flip_ratio"][1:] == [0, 0]


def test_schedule_of_a_plain_number() -> None:
    watch = Watch(lambda model: model.optimizer.momentum)
    schedule = HyperparameterScheduler("momentum", lambda epoch: (epoch + 1) / 4)
    logs = fit(keras.optimizers.SGD(0.1, momentum=0.9), schedule, watch, run_eagerly=True)
    assert logs["momentum"] == [0.25, 0.5, 0.75]
    assert [epoch[0] for epoch in watch.seen] == [0.25, 0.5, 0.75]
    by_step = HyperparameterScheduler("momentum", lambda step: 0.5, every="step")
    logs = fit(keras.optimizers.SGD(0.1, momentum=0.9), by_step, run_eagerly=True)
    assert logs["momentum"] == [0.5] * 3
    with pytest.raises(ValueError, match=r"momentum as the plain number 0\.9.*pass every='epoch'"):
        fit(keras.optimizers.SGD(0.1, momentum=0.9), by_step, jit_compile=True)


@pytest.mark.parametrize(
    "jit_compile", [pytest.param(jit, marks=pytest.mark.slow if jit is SLOW else ()) for jit in (False, True)]
)
def test_a_plain_number_reaches_the_compiled_step(jit_compile: bool) -> None:
    momenta = [0.5, 0.5, 0.25, 0.75]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.125, momentum=0.9), "mse", jit_compile=jit_compile)
    x, y = np.ones((8, 1)), np.zeros((8, 1))
    watch = Watch(lambda model: float(model.layers[0].kernel.numpy()[0, 0]))
    schedule = HyperparameterScheduler("momentum", lambda epoch: np.array(momenta[epoch]))
    logs = model.fit(x, y, 4, epochs=4, verbose=0, callbacks=[schedule, watch]).history
    assert logs["momentum"] == momenta
    w, velocity = 1.0, 0.0
    for momentum, seen in zip(momenta, watch.seen, strict=True):
        for now in seen:
            velocity = momentum * velocity - 0.125 * 2 * w
            w += velocity
            assert now == pytest.approx(w, rel=1e-5)


def test_weight_decay_may_start_at_0_but_no_momentum() -> None:
    decay = HyperparameterScheduler("weight_decay", lambda epoch: [0.0, 0.25, 0.0][epoch])
    options = {"jit_compile": BACKEND == "jax"}
    assert fit(keras.optimizers.AdamW(0.5), decay, **options)["weight_decay"] == [0, 0.25, 0]
    for values in ([0.5, 0.0], [0.0, 0.5]):
        schedule = HyperparameterScheduler("momentum", lambda epoch, values=values: values[min(epoch, 1)])
        with pytest.raises(ValueError, match=f"goes from {values[0]} to {values[1]}, but SGD makes the variables"):
            fit(keras.optimizers.SGD(0.1, momentum=values[0]), schedule, **options)


@pytest.mark.parametrize(
    ("hyperparameter", "schedule", "message"),
    [
        ("threshold", lambda epoch: 0.1, "SGD has no 'threshold'"),
        ("binary.threshold", lambda epoch: 0.1, "SGD has no 'binary'"),
        ("name", lambda epoch: 0.1, "is no number"),
        ("learning_rate", lambda epoch: float("nan"), "returned nan for epoch 0"),
        ("learning_rate", lambda epoch: "high", "returned 'high' for epoch 0"),
        ("learning_rate", lambda epoch: np.ones(2), r"returned array\(\[1., 1.\]\) for epoch 0"),
    ],
)
def test_schedule_names_what_is_wrong(hyperparameter: str, schedule: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(keras.optimizers.SGD(0.1), HyperparameterScheduler(hyperparameter, schedule))


def test_schedule_refuses_a_second_schedule() -> None:
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(ValueError, match="a schedule of its own"):
        fit(optimizer, HyperparameterScheduler("learning_rate", lambda epoch: 0.1))
    with pytest.raises(ValueError, match="every='batch'"):
        HyperparameterScheduler("learning_rate", lambda epoch: 0.1, every="batch")
    with pytest.raises(ValueError, match=r"schedule=0\.1"):
        HyperparameterScheduler("learning_rate", 0.1)


def expected_statistics(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """Mean and variance of what comes to each normalization in inference, in numpy but for the convolution."""
    norm, sums = model.layers[2].get_layer("norm"), keras.ops.convert_to_numpy(model.get_layer("first")(x))
    scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    binary = np.where((sums - norm.moving_mean.numpy()) * scale + norm.beta.numpy() < 0, -1.0, 1.0)
    second = binary.reshape(len(x), -1) @ np.where(model.get_layer("second").kernel.numpy() < 0, -1.0, 1.0)
    return [f(values, axis=0) for values in (sums.reshape(-1, 4), second) for f in (np.mean, np.var)]


def statistics(model: keras.Model) -> list[np.ndarray]:
    norms = model.layers[2].get_layer("norm"), model.get_layer("last_norm")
    return [moving.numpy() for norm in norms for moving in (norm.moving_mean, norm.moving_variance)]


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_settled_statistics_are_those_of_all_data(kind: str) -> None:
    model, (x, _) = network(), data(43)
    rng = np.random.default_rng(6)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.2, 0.5, variable.shape))
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    batches = np.split(x, [22, 40])  # of any size

    class Dataset(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> tuple[np.ndarray, None]:
            return batches[index], None

    settle_batch_normalization(model, x if kind == "arrays" else Dataset(), batch_size=25)
    for actual, expected in zip(statistics(model), expected_statistics(model, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(variable.numpy(), before[variable.path])

    # All is as before: training moves the averages by the momentum again, and a second time gives the same.
    settled = statistics(model)
    model(batches[0], training=True)
    assert not np.allclose(statistics(model)[0], settled[0], rtol=1e-7, atol=0)
    np.testing.assert_allclose(statistics(model)[0], settled[0], rtol=0.1, atol=0.1)


def test_settles_at_the_end_and_before_validation() -> None:
    model, (x, y) = network(), data()
    model.compile(keras.optimizers.Adam(0.05), "mse")
    seen: list[list[np.ndarray]] = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(statistics(model)))
    settle = SettleBatchNormalization(x, before_validation=True)
    model.fit(x, y, 16, epochs=2, verbose=0, validation_data=(x, y), callbacks=[settle, look])
    expected = expected_statistics(model, x)
    for actual in (seen[-1], statistics(model)):
        np.testing.assert_allclose(actual[1], expected[1], rtol=1e-4)
    assert not np.allclose(seen[0][0], seen[1][0], rtol=1e-3)

    model.fit(x, y, 16, verbose=0, callbacks=[SettleBatchNormalization(x)])
    for actual, exact in zip(statistics(model), expected_statistics(model, x), strict=True):
        np.testing.assert_allclose(actual, exact, rtol=1e-4, atol=1e-5)


def test_settles_shift_batch_normalization() -> None:
    layer = ShiftBatchNormalization()
    frozen = keras.layers.BatchNormalization(trainable=False)
    model = keras.Sequential([keras.Input((2,)), layer, frozen])
    x = np.random.default_rng(8).normal(1.0, [3.0, 5.0], (50, 2)).astype(np.float32)

    def inverse_std(batch: np.ndarray) -> np.ndarray:
        centered = batch.astype(np.float64) - batch.mean(0, dtype=np.float64)
        nearest = np.sign(centered) * 2.0 ** np.round(np.log2(np.abs(centered)))
        return 1 / np.sqrt((centered * nearest).mean(0) + layer.epsilon)

    settle_batch_normalization(model, x)
    np.testing.assert_allclose(layer.moving_mean.numpy(), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_inverse_std.numpy(), inverse_std(x), rtol=1e-5)
    settle_batch_normalization(model, x, batch_size=17)
    np.testing.assert_allclose(layer.moving_mean.numpy(), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_inverse_std.numpy(), inverse_std(x), rtol=0.1)
    assert frozen.moving_mean.numpy().tolist() == [0, 0]
    assert frozen.moving_variance.numpy().tolist() == [1, 1]


def test_a_failure_while_settling_changes_nothing() -> None:
    model, (x, _) = network(), data()
    before = statistics(model)

    class Broken(keras.utils.PyDataset):
        reads = 0

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> np.ndarray:
            self.reads += 1
            if self.reads == 5:  # the first normalization is settled by then
                raise ZeroDivisionError
            return x[:20]

    with pytest.raises(ZeroDivisionError):
        settle_batch_normalization(model, Broken())
    with pytest.raises(ValueError, match="an iterator"):
        settle_batch_normalization(model, iter([x]))
    with pytest.raises(ValueError, match="no batch"):
        settle_batch_normalization(model, x[:0])
    for actual, expected in zip(statistics(model), before, strict=True):
        np.testing.assert_array_equal(actual, expected)
    model(x, training=True)  # the momentum is back, too
    np.testing.assert_allclose(
        statistics(model)[1], before[1] * 0.99 + expected_statistics(model, x)[1] * 0.01, rtol=1e-4
    )


def test_settling_needs_a_batch_normalization() -> None:
    model = keras.Sequential([keras.Input((5, 5, 2)), keras.layers.Flatten(), BinaryDense(3)])
    model.compile("sgd", "mse")
    x, y = data()
    with pytest.raises(ValueError, match="found no built, trainable batch normalization"):
        model.fit(x, y, verbose=0, callbacks=[SettleBatchNormalization(x)])
