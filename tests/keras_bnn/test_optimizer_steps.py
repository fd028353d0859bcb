"""Each step of the optimizers against the algorithms in numpy, with float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from support.backend_gradient import gradient

from keras_bnn.constraints import WeightClip
from keras_bnn.layers import BinaryDense
from keras_bnn.optimizers import Bop, ShiftAdaMax
from keras_bnn.quantizers import ApproxSign, NoOp, Quantizer, SteSign, SteTern, SwishSign

SHAPE = (4, 5)
STEPS = 12


def gradients() -> np.ndarray:
    """Gradients of very different sizes, so that powers of two differ; with zeros, alone and in a row."""
    generator = np.random.default_rng(11)
    drawn = generator.normal(size=(STEPS, *SHAPE)) * np.exp2(generator.integers(-20, 5, SHAPE))
    drawn[:, 0, 0] = 0
    drawn[3, 0, 1:] = [0, -0.0, 1e-12, -1e-12]
    drawn[:4, 1, 0] = 0
    return drawn.astype(np.float32)


def start() -> np.ndarray:
    weights = np.random.default_rng(12).uniform(-1, 1, SHAPE).astype(np.float32)
    weights[0, :2] = [0, -0.0]
    return weights


def nearest_power_of_two(x: np.ndarray) -> np.ndarray:
    return np.exp2(np.round(np.log2(x)))


def trajectory(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    variable = keras.Variable(start())
    weights = []
    for given in gradients():
        optimizer.apply([ops.convert_to_tensor(given)], [variable])
        weights.append(ops.convert_to_numpy(variable).copy())
    return weights


@pytest.mark.parametrize(
    "rates",
    [
        {},
        {"learning_rate": 2**-6, "beta_1": 0.9, "beta_2": 0.999},
        {"learning_rate": 0.013, "beta_1": 0.7, "beta_2": 0.6, "epsilon": 1e-3},
        {"learning_rate": 0.5, "beta_1": 0.0, "beta_2": 0.0},
    ],
)
def test_shift_adamax_follows_algorithm_4(rates: dict) -> None:
    alpha, beta_1, beta_2 = (
        rates.get("learning_rate", 2**-10),
        rates.get("beta_1", 7 / 8),
        rates.get("beta_2", 1023 / 1024),
    )
    w, m, v = start().astype(np.float64), np.zeros(SHAPE), np.zeros(SHAPE)
    for t, (g, weights) in enumerate(zip(gradients(), trajectory(ShiftAdaMax(**rates)), strict=True), 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = np.maximum(beta_2 * v, np.abs(g))
        inverse = nearest_power_of_two(1 / np.maximum(v, rates.get("epsilon", 2**-27)))
        w = w - nearest_power_of_two(alpha / (1 - beta_1**t)) * m * inverse
        np.testing.assert_allclose(weights, w, rtol=1e-5, atol=1e-6)


def test_shift_adamax_multiplies_by_powers_of_two() -> None:
    g = np.random.default_rng(13).normal(size=(50, 60)).astype(np.float32)
    variable = keras.Variable(np.zeros_like(g))
    ShiftAdaMax(learning_rate=0.013, beta_1=0.0).apply([ops.convert_to_tensor(g)], [variable])  # so that m is g
    mantissas, exponents = np.frexp(ops.convert_to_numpy(variable) / g)
    assert np.all(mantissas == -0.5)
    assert len(np.unique(exponents)) > 5


def test_shift_adamax_lets_a_large_gradient_be_forgotten() -> None:
    """The maximum of the gradients decays, so the same gradient takes larger steps again."""
    variable = keras.Variable([[0.0]])
    optimizer = ShiftAdaMax(learning_rate=1.0, beta_1=0.0, beta_2=0.5)
    steps = []
    for g in (64.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        before = float(ops.convert_to_numpy(variable)[0, 0])
        optimizer.apply([ops.convert_to_tensor([[g]])], [variable])
        steps.append(before - float(ops.convert_to_numpy(variable)[0, 0]))
    assert steps == [1, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 1]


def test_shift_adamax_without_gradients_stands_still() -> None:
    variable = keras.Variable(start())
    optimizer = ShiftAdaMax()
    for _ in range(3):
        optimizer.apply([ops.zeros(SHAPE)], [variable])
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), start())


@pytest.mark.parametrize(("threshold", "gamma"), [(1e-8, 1e-4), (0.003, 0.2), (0.0, 1.0)])
def test_bop_follows_its_algorithm(threshold: float, gamma: float) -> None:
    w, m, flips = np.where(start() < 0, -1.0, 1.0), np.zeros(SHAPE), 0
    for g, weights in zip(gradients(), trajectory(Bop(threshold, gamma)), strict=True):
        m = (1 - gamma) * m + gamma * g.astype(np.float64)
        flipping = (np.abs(m) > threshold) & (np.sign(m) == np.sign(w))
        flips += flipping.sum()
        w = np.where(flipping, -w, w)
        np.testing.assert_array_equal(weights, w)
    assert flips > 3


def test_bop_does_not_flip_at_equality() -> None:
    above = np.nextafter(np.float32(0.25), np.float32(1))
    g = np.array([[0.25, -0.25, 0.25, -0.25, above, -above, above, -above]], np.float32)
    variable = keras.Variable(np.array([[1, -1, -1, 1, 1, -1, -1, 1]], np.float32))
    Bop(threshold=0.25, gamma=1.0).apply([ops.convert_to_tensor(g)], [variable])
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), [[1, -1, -1, 1, -1, 1, -1, 1]])


def test_bop_makes_signs_of_real_weights() -> None:
    variable = keras.Variable(np.array([[0.3, -0.2, 0.0, -0.0, 5, -5]], np.float32))
    Bop(threshold=1.0).apply([ops.zeros((1, 6))], [variable])
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), [[1, -1, 1, 1, 1, -1]])


def test_bop_takes_schedules() -> None:
    halving = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    falling = keras.optimizers.schedules.PiecewiseConstantDecay([2], [1e9, 1e-3])
    w, m = np.where(start() < 0, -1.0, 1.0), np.zeros(SHAPE)
    optimizer = Bop(threshold=falling, gamma=halving)
    for t, (g, weights) in enumerate(zip(gradients(), trajectory(optimizer), strict=True)):
        m = (1 - 0.5**t) * m + 0.5**t * g
        w = np.where(w * m > (1e9 if t <= 2 else 1e-3), -w, w)
        np.testing.assert_array_equal(weights, w)
    revived = Bop.from_config(optimizer.get_config())
    assert revived.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(trajectory(revived)[-1], w)
    with pytest.raises(TypeError, match=r"Bop got threshold=0\.5 after a schedule for it"):
        optimizer.threshold = 0.5


def test_bop_hyperparameters_can_be_set() -> None:
    optimizer = Bop(threshold=100.0, gamma=0.5)
    optimizer.threshold = 0.25
    optimizer.gamma = 1.0
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == 1
    assert optimizer.get_config()["threshold"] == 0.25
    assert optimizer.get_config()["gamma"] == 1
    variable = keras.Variable([[1.0, 1.0]])
    optimizer.apply([ops.convert_to_tensor([[0.25, 0.5]])], [variable])
    assert ops.convert_to_numpy(variable).tolist() == [[1, -1]]


@pytest.mark.parametrize(
    ("optimizer", "arguments", "message"),
    [
        (ShiftAdaMax, {"beta_1": 1.0}, r"ShiftAdaMax got beta_1=1\.0: pass a number of at least 0 and below 1"),
        (ShiftAdaMax, {"beta_2": -0.1}, r"ShiftAdaMax got beta_2=-0\.1: pass a number of at least 0 and below 1"),
        (ShiftAdaMax, {"epsilon": 0}, "ShiftAdaMax got epsilon=0: pass a number above 0"),
        (Bop, {"threshold": -1.0}, r"Bop got threshold=-1\.0: pass a number of at least 0, or a schedule"),
        (Bop, {"gamma": 0}, "Bop got gamma=0: pass a number above 0 and up to 1, or a schedule"),
        (Bop, {"gamma": 1.5}, r"Bop got gamma=1\.5: pass a number above 0 and up to 1, or a schedule"),
        (Bop, {"weight_decay": 0.1}, r"Bop got weight_decay=0\.1: weights of \+1 and -1 cannot decay"),
    ],
)
def test_senseless_arguments_are_refused(optimizer: type, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizer(**arguments)


def test_bop_refuses_what_is_no_kernel() -> None:
    with pytest.raises(ValueError, match=r"Bop got the variable 'shift' of shape \(3,\).*SplitOptimizer"):
        Bop().build([keras.Variable(np.ones((2, 3)), name="kernel"), keras.Variable(np.ones(3), name="shift")])


def test_bop_takes_a_gamma_above_1_as_1() -> None:
    w = keras.Variable([[1.0, -1.0]])
    optimizer = Bop(threshold=0.5, gamma=0.5)
    optimizer.build([w])
    optimizer.gamma = 5.0
    for _ in range(3):  # with 5, m would be -12 times the last one
        optimizer.apply([ops.array([[0.4, -0.4]])])
    np.testing.assert_array_equal(ops.convert_to_numpy(w), [[1, -1]])


@pytest.mark.parametrize(
    ("quantizer", "constraint", "message"),
    [
        ("approx_sign", "weight_clip", r"ApproxSign passes no right gradient beyond 1, to weights of 1 and -1"),
        ("swish_sign", "weight_clip", r"SwishSign passes no right gradient beyond 0\.4799, to weights of 1 and -1"),
        (SteSign(0.5), "weight_clip", r"SteSign passes no right gradient beyond 0\.5, to weights of 1 and -1"),
        ("ste_sign", "weight_clip", None),
        ("no_op", "weight_clip", None),
        ("stochastic_sign", "weight_clip", None),
        ("magnitude_aware_sign", "weight_clip", None),
        (SteSign(0.5), WeightClip(0.5), None),
        ("approx_sign", WeightClip(0.5), None),
        ("swish_sign", WeightClip(0.25), None),
    ],
)
def test_bop_refuses_quantizers_without_a_gradient_at_signs(
    quantizer: object, constraint: object, message: str | None
) -> None:
    layer = BinaryDense(3, kernel_quantizer=quantizer, kernel_constraint=constraint)
    layer.build((None, 4))
    if message is None:
        Bop().build([layer.kernel])
    else:
        with pytest.raises(ValueError, match=f"'{layer.kernel.path}', whose quantizer {message}.*'ste_sign'"):
            Bop().build([layer.kernel])


@pytest.mark.parametrize("quantizer", [SteSign(), SteSign(0.5), ApproxSign(), SwishSign(3), SteTern(), NoOp(1)])
def test_gradients_reach_as_far_as_they_say(quantizer: Quantizer) -> None:
    reach = min(quantizer.gradient_reach, 10.0)
    x = np.array([0.99 * reach, -0.99 * reach, 1.01 * reach, -1.01 * reach], np.float32)
    dy = np.array([1, -1, 1, -1], np.float32)
    agrees = gradient(quantizer, x, dy) * dy > 0
    assert agrees.tolist() == [True, True, *[quantizer.gradient_reach == np.inf] * 2]
