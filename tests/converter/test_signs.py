"""Random functions of a comparison are signs exactly where their values are +1 and -1."""

from __future__ import annotations

from random import Random

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from support.float_graphs import FloatGraph

from keras_bnn.converter.graph import Tensor
from keras_bnn.converter.signs import find_sign

_COMPARISONS = {
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
}
_ARITHMETIC = {
    "ADD": (np.add, schema.AddOptionsT),
    "MUL": (np.multiply, schema.MulOptionsT),
    "SUB": (np.subtract, schema.SubOptionsT),
}
_CONSTANTS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
_FORMS = (  # of signs, as (op, constant, whether it comes first)
    (("MUL", 2.0, False), ("SUB", 1.0, False)),
    (("MUL", 2.0, True), ("SUB", 1.0, True)),
    (("MUL", -2.0, True), ("ADD", 1.0, False)),
    (("SUB", 0.5, False), ("MUL", 2.0, False)),
    (("ADD", -0.5, True), ("MUL", 2.0, False), ("MUL", -1.0, True)),
)


class _Expression:
    """A random expression, as a graph and as its values at `points`."""

    def __init__(self, random: Random):
        self.random, self.graph = random, FloatGraph()
        threshold = np.float32(random.choice((0.0, -0.0, 0.5, -3.0, 1e-3, 1e30)))
        up, down = np.nextafter(threshold, np.float32([np.inf, -np.inf]))
        self.points = np.array([threshold, up, down, -threshold, 2 * threshold + 1], np.float32)
        self.x = self.graph.add_input("x", self.points.shape)
        kind = random.choice(tuple(_COMPARISONS))
        operands, values = [self.x, self.graph.constant(threshold)], [self.points, threshold]
        if random.random() < 0.5:
            operands.reverse()
            values.reverse()
        self.condition, self.truth = self.graph.compare(kind, *operands), _COMPARISONS[kind](*values)
        for _ in range(random.randint(0, 2)):
            opposite = self.graph.add_tensor(f"not_{len(self.graph.ops)}", self.x.dims, np.bool_)
            self.graph.add_op("LOGICAL_NOT", [self.condition], [opposite])
            self.condition, self.truth = opposite, ~self.truth

    def selected(self) -> tuple[Tensor, np.ndarray]:
        one, other = self.random.choice(((1.0, -1.0), (-1.0, 1.0), (1.0, 0.0), (2.0, -2.0)))
        operands = [self.condition, self.graph.constant(one), self.graph.constant(other)]
        return self.graph.op("SELECT_V2", operands, self.x.dims), np.where(self.truth, one, other)

    def computed(self) -> tuple[Tensor, np.ndarray]:
        y = self.graph.op("CAST", [self.condition], self.x.dims, schema.CastOptionsT())
        values = self.truth.astype(np.float64)
        for kind, constant, comes_first in self.random.choice(_FORMS):
            function, options = _ARITHMETIC[kind]
            if self.random.random() < 0.2:
                constant = self.random.choice(_CONSTANTS)
            operands, numbers = [y, self.graph.constant(constant)], [values, constant]
            if comes_first:
                operands.reverse()
                numbers.reverse()
            y, values = self.graph.op(kind, operands, self.x.dims, options()), function(*numbers)
        return y, values


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 2**32).map(Random))
def test_random_expression(random: Random) -> None:
    expression = _Expression(random)
    y, values = random.choice((expression.selected, expression.computed))()
    sign = find_sign(y.producer)
    # Two truths may give one value, and other values may be +1 and -1 at these points alone.
    is_sign = set(np.unique(values)) == {-1.0, 1.0}
    assert (sign is not None) == is_sign
    if sign is not None:
        assert sign.x is expression.x
        exact = expression.points.astype(np.float64) * sign.multiplier + sign.bias.astype(np.float64)
        np.testing.assert_array_equal(np.where(exact < 0, -1, 1), values)


def test_both_kinds_are_drawn() -> None:
    """What the test above compares is neither always a sign nor never one."""
    found = []
    for seed in range(200):
        expression = _Expression(Random(seed))
        y, _ = expression.computed()
        found.append(find_sign(y.producer) is not None)
    assert 5 < sum(found) < 195
