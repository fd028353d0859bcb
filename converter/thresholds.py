"""From the float expression of an output channel to the integer threshold of its sign.

The expression `y = activation(pre_activation(acc) * multiplier + bias)` never falls when acc grows, or never rises:
each of its steps is monotone, rounding included. So `y < 0` holds exactly below one accumulator value, which bisection
over the possible accumulators finds by evaluating the expression itself. A real number such as -bias / multiplier
would be off by one wherever a rounding lands on the other side of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .custom_ops import (
    ADD,
    DIV,
    MUL,
    NO_ACTIVATION,
    PRELU,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    STEP_RELU,
    STEP_RELU6,
    STEP_RELU_N1_TO_1,
)

Array = np.ndarray
Step = tuple[int, Array | None]
"""A step of docs/format.md and its operand, one value per channel."""

ALWAYS_POSITIVE = np.int32(-(2**31))
ALWAYS_NEGATIVE = np.int32(2**31 - 1)

_RANGES = {RELU: (0.0, np.inf), RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}
_STEP_ACTIVATIONS = {STEP_RELU: RELU, STEP_RELU_N1_TO_1: RELU_N1_TO_1, STEP_RELU6: RELU6}


def evaluate(
    acc: Array,
    multiplier: Array,
    bias: Array,
    *,
    activation: int = 0,
    pre_activation: int = 0,
    steps: Sequence[Step] = (),
) -> Array:
    """Returns the float32 expression of docs/format.md: one rounding for each of conversion, product and sum."""
    with np.errstate(all="ignore"):
        y = _activate(np.asarray(acc).astype(np.float32), pre_activation)
        y = y * np.asarray(multiplier, np.float32)
        y = y + np.asarray(bias, np.float32)
        y = _activate(y, activation)
        for step, operand in steps:
            y = _take_step(y, step, operand)
        return y


def find_thresholds(
    multiplier: Array,
    bias: Array,
    largest: int,
    *,
    activation: int = 0,
    pre_activation: int = 0,
    steps: Sequence[Step] = (),
) -> tuple[Array, Array] | None:
    """Returns thresholds so that `(acc < threshold) == (y < 0)` for all accumulators.

    Args:
        multiplier: float32 `[O]`.
        bias: float32 `[O]`.
        largest: The largest absolute value of an accumulator: the number of +-1 products in the sum.
        activation: Activation after multiplier and bias.
        pre_activation: Activation of the accumulator.
        steps: What comes after the activation.

    Returns:
        int32 thresholds `[O]`, and a boolean array `[O]` of channels whose weights must be flipped first: where y falls
        when acc grows, acc stands for the flipped sum, with which y grows. None when y may do either in one channel,
        behind a PReLU with a negative slope, or be NaN behind steps.
    """
    flipped = multiplier < 0
    for step, operand in steps:
        if operand is None or step == ADD:
            continue
        if step != PRELU:
            flipped = flipped ^ np.signbit(operand)
        if not np.all(operand >= 0 if step == PRELU else (step == MUL) | (operand != 0)):
            return None
    sign = np.where(flipped, -1, 1).astype(np.int64)

    def y_of(acc: Array | int) -> Array:
        return evaluate(sign * acc, multiplier, bias, activation=activation, pre_activation=pre_activation, steps=steps)

    # Of NaN the bit is +1, wherever it stands. Of finite operands it only comes from an overflow, which the largest
    # sums have first.
    operands = (multiplier, bias, *(operand for _, operand in steps if operand is not None))
    if steps and not all(np.isfinite(values).all() for values in operands):
        return None
    if steps and np.isnan([y_of(-largest), y_of(largest)]).any():
        return None

    low = np.full(multiplier.shape, -largest, np.int64)
    high = np.full(multiplier.shape, largest + 1, np.int64)
    for _ in range((2 * largest + 1).bit_length()):
        middle = (low + high) // 2
        below = y_of(middle) < 0
        below &= low < high
        low, high = np.where(below, middle + 1, low), np.where(below, high, np.minimum(middle, high))
    thresholds = np.where(low > largest, ALWAYS_NEGATIVE, np.where(low == -largest, ALWAYS_POSITIVE, low))
    return thresholds.astype(np.int32), flipped


def _take_step(y: Array, step: int, operand: Array | None) -> Array:
    if step in _STEP_ACTIVATIONS:
        return _activate(y, _STEP_ACTIVATIONS[step])
    assert operand is not None
    if step == ADD:
        return y + operand
    if step == DIV:
        return y / operand
    return np.where(y < 0, y * operand, y) if step == PRELU else y * operand


def _activate(y: Array, activation: int) -> Array:
    if activation == NO_ACTIVATION:
        return y
    low, high = (np.float32(limit) for limit in _RANGES[activation])
    y = np.where(y < low, low, y)
    return np.where(y > high, high, y)
