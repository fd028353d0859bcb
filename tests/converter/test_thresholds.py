"""Thresholds against the float expression, over every accumulator."""

from __future__ import annotations

import numpy as np
import pytest
from format_reference import activate
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bnn.converter.custom_ops import ADD, DIV, MUL, PRELU, STEP_RELU6
from keras_bnn.converter.thresholds import ALWAYS_NEGATIVE, ALWAYS_POSITIVE, find_thresholds

ACTIVATIONS = (0, 1, 2, 3)
LARGEST = (1, 2, 27, 288, 4608)
TINY, DENORMAL, HUGE = np.float32(1.2e-38), np.float32(1e-45), np.float32(3e38)


def expected_bits(
    multiplier: np.ndarray, bias: np.ndarray, accumulators: np.ndarray, activation: int, pre_activation: int
) -> np.ndarray:
    """Bits [accumulators, channels] from the expression of docs/format.md, each numpy call one float32 rounding."""
    with np.errstate(all="ignore"):
        y = activate(accumulators.astype(np.float32)[:, None], pre_activation)
        y = y * multiplier
        y = y + bias
        return activate(y, activation) < 0


def check(
    multiplier: np.ndarray, bias: np.ndarray, largest: int, activation: int = 0, pre_activation: int = 0
) -> np.ndarray:
    """Checks every accumulator and returns the thresholds."""
    thresholds, flipped = find_thresholds(
        multiplier, bias, largest, activation=activation, pre_activation=pre_activation
    )
    assert thresholds.dtype == np.int32
    accumulators = np.arange(-largest, largest + 1)
    bits = np.where(flipped, -accumulators[:, None], accumulators[:, None]) < thresholds
    np.testing.assert_array_equal(bits, expected_bits(multiplier, bias, accumulators, activation, pre_activation))
    return thresholds


def channels(largest: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and biases of every kind, and all pairs of extreme ones."""
    rng = np.random.default_rng(seed)
    multiplier = rng.normal(size=400)
    # Sums that are 0 or next to it: -bias / multiplier is an accumulator, up to a rounding or two.
    bias = -multiplier * rng.integers(-largest - 2, largest + 3, 400) + rng.choice([0, 0, 1e-7, -1e-7, 0.1, -3], 400)
    extremes = np.array([0.0, 1, 0.1, 1 / 3, TINY, DENORMAL, HUGE, 1e-20, 1e20, np.inf])
    extremes = np.concatenate([extremes, -extremes]).astype(np.float32)
    pairs = np.stack(np.meshgrid(extremes, extremes)).reshape(2, -1)
    return (
        np.concatenate([multiplier.astype(np.float32), pairs[0]]),
        np.concatenate([bias.astype(np.float32), pairs[1]]),
    )


@pytest.mark.parametrize("largest", LARGEST)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pre_activation", ACTIVATIONS)
def test_every_accumulator(largest: int, activation: int, pre_activation: int) -> None:
    check(*channels(largest, seed=largest), largest, activation, pre_activation)


def test_accumulators_beyond_the_integers_of_float32() -> None:
    """Above 2**24 the conversion of the accumulator rounds too."""
    multiplier, bias = np.float32([1, -1, 0.1]), np.float32([-(2**24 + 3), 2**24 + 3, -1677721.9])
    thresholds, flipped = find_thresholds(multiplier, bias, 2**25)
    for channel, (threshold, flip) in enumerate(zip(thresholds, flipped, strict=True)):
        near = np.arange(int(threshold) - 40, int(threshold) + 40)
        bits = expected_bits(multiplier, bias, -near if flip else near, 0, 0)[:, channel]
        np.testing.assert_array_equal(bits, near < threshold)


def test_constant_channels() -> None:
    multiplier = np.float32([0, 0, -0.0, 1, 1, -1, np.nan])
    bias = np.float32([1, -1, -0.0, 10, -11, 10, 1])
    assert check(multiplier, bias, 10).tolist() == [
        ALWAYS_POSITIVE,
        ALWAYS_NEGATIVE,
        ALWAYS_POSITIVE,
        ALWAYS_POSITIVE,
        ALWAYS_NEGATIVE,
        ALWAYS_POSITIVE,
        ALWAYS_POSITIVE,
    ]


def test_relu_is_never_negative() -> None:
    multiplier, bias = channels(9, seed=0)
    assert (check(multiplier, bias, 9, activation=1) == ALWAYS_POSITIVE).all()


floats = st.floats(width=32, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(
    channels=st.lists(st.tuples(floats, floats), min_size=1, max_size=20),
    largest=st.integers(1, 600),
    activation=st.sampled_from(ACTIVATIONS),
    pre_activation=st.sampled_from(ACTIVATIONS),
)
def test_any_floats(channels: list[tuple[float, float]], largest: int, activation: int, pre_activation: int) -> None:
    multiplier, bias = np.array(channels, np.float32).T
    check(multiplier, bias, largest, activation, pre_activation)


@pytest.mark.parametrize("largest", [1, 27, 288])
@pytest.mark.parametrize("kinds", [(ADD,), (MUL,), (DIV, ADD), (PRELU, MUL, ADD), (STEP_RELU6, MUL, ADD, PRELU, MUL)])
def test_steps(largest: int, kinds: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(kinds))
    multiplier, bias = (values[:400] for values in channels(largest, 5))
    steps = [(kind, None if kind == STEP_RELU6 else rng.normal(size=400).astype(np.float32)) for kind in kinds]
    steps = [(kind, np.abs(values) if kind == PRELU else values) for kind, values in steps]
    found = find_thresholds(multiplier, bias, largest, steps=steps)
    assert found is not None
    thresholds, flipped = found
    accumulators = np.arange(-largest, largest + 1)[:, None]
    y = accumulators.astype(np.float32) * multiplier
    y = y + bias
    for kind, values in steps:
        if kind == STEP_RELU6:
            y = activate(y, 3)
        elif kind == PRELU:
            y = np.where(y < 0, y * values, y)
        else:
            y = {ADD: np.add, MUL: np.multiply, DIV: np.divide}[kind](y, values)
    np.testing.assert_array_equal(np.where(flipped, -accumulators, accumulators) < thresholds, y < 0)


@pytest.mark.parametrize(("kind", "value"), [(PRELU, -0.5), (PRELU, np.nan), (DIV, 0.0)])
def test_steps_that_may_turn_the_order_have_no_threshold(kind: int, value: float) -> None:
    ones = np.ones(2, np.float32)
    assert find_thresholds(ones, ones, 9, steps=[(kind, np.array([0.5, value], np.float32))]) is None


@pytest.mark.parametrize(
    ("multiplier", "steps"),
    [
        (1e38, [(MUL, 0.0), (ADD, -1.0)]),  # infinity * 0 is NaN for large sums, -1 for those between
        (1.0, [(MUL, np.inf), (STEP_RELU6, None), (ADD, -7.0)]),  # NaN for the sum 0 alone
    ],
)
def test_steps_that_may_give_nan_have_no_threshold(multiplier: float, steps: list[tuple[int, float | None]]) -> None:
    operands = [(kind, None if value is None else np.full(1, value, np.float32)) for kind, value in steps]
    assert find_thresholds(np.float32([multiplier]), np.float32([0]), 9, steps=operands) is None
