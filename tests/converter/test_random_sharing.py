"""Random graphs in which any op may read any tensor, and several tensors are outputs: no value changes by a bit."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.float_graphs import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, FloatGraph, random_input, rewrite_and_compare

from keras_bnn.converter.graph import Tensor

_ARITHMETIC = {
    "ADD": schema.AddOptionsT,
    "DIV": schema.DivOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
}


class SharingGraph(FloatGraph):
    """A graph that grows by random ops on random tensors; only signs are convolved, so that all sums are exact."""

    def __init__(self, random: Random):
        super().__init__(random.randrange(2**16))
        self.random = random
        self.x = self.add_input("x", (random.choice((-1, 1, 2)), random.randint(1, 5), 4, random.choice((3, 32, 33))))
        self.reached = [self.x]

    def grow(self) -> None:
        """Adds an op, more often than not on one of the newest two tensors."""
        x = self.random.choice((*self.reached[-2:], self.random.choice(self.reached)))
        steps: tuple[Callable[[Tensor], Tensor], ...] = (
            *(self._convolved, self._convolved, self.sign, self._with_constant, self._with_constant),
            *(self._with_tensor, self._with_gate, self._clipped, self._sloped, self._pooled, self._padded),
        )
        self.reached.append(self.random.choice(steps)(x))

    def _activation(self) -> int:
        return self.random.choice((NONE, NONE, NONE, NONE, RELU, RELU_N1_TO_1, RELU6))

    def _convolved(self, x: Tensor) -> Tensor:
        outputs = self.random.choice((x.dims[3], x.dims[3], 5, 32))
        scales = self.random.choice((None, 1.0, 1.0))
        bias = self.random.choice((None, None, self.bias(outputs)))
        kernel = self.kernel((outputs, self.random.randint(1, 3), 2, x.dims[3]), scales)
        return self.conv(self.sign(x), kernel, bias, padding=SAME, activation=self._activation())

    def _with_constant(self, x: Tensor) -> Tensor:
        kind = self.random.choice(sorted(_ARITHMETIC))
        shape = self.random.choice(((), (1,), (x.dims[3],), (1, 1, 1, x.dims[3]), x.dims[1:], (1, *x.dims[1:3], 1)))
        values = self.constant(self.rng.choice([-2.0, -0.3, 0.25, 1.0, 3.0], shape).astype(np.float32))
        is_first = kind != "DIV" and self.random.random() < 0.3
        return self._arithmetic(kind, (values, x) if is_first else (x, values), x.dims)

    def _with_tensor(self, x: Tensor) -> Tensor:
        other = self.random.choice([tensor for tensor in self.reached if tensor.dims == x.dims])
        return self._arithmetic(self.random.choice(("ADD", "ADD", "MUL", "SUB")), (x, other), x.dims)

    def _with_gate(self, x: Tensor) -> Tensor:
        options = schema.ReducerOptionsT()
        options.keepDims = True
        gate = self.op("REDUCE_MAX", [x, self.integers([1, 2])], (x.dims[0], 1, 1, x.dims[3]), options)
        return self._arithmetic(self.random.choice(("ADD", "MUL")), (x, gate), x.dims)

    def _arithmetic(self, kind: str, operands: tuple[Tensor, Tensor], dims: tuple[int, ...]) -> Tensor:
        options = _ARITHMETIC[kind]()
        options.fusedActivationFunction = self._activation()
        return self.op(kind, operands, dims, options)

    def _clipped(self, x: Tensor) -> Tensor:
        return self.op(self.random.choice(("RELU", "RELU6", "RELU_N1_TO_1")), [x], x.dims)

    def _sloped(self, x: Tensor) -> Tensor:
        slopes = self.rng.choice([-0.5, 0.0, 0.25, 1.5], (1, 1, x.dims[3]))
        return self.op("PRELU", [x, self.constant(slopes)], x.dims)

    def _pooled(self, x: Tensor) -> Tensor:
        y = self.pool(x, (2, 2), stride=(1, self.random.randint(1, 2)), padding=SAME)
        assert y.producer is not None
        y.producer.options.fusedActivationFunction = self._activation()
        return y

    def _padded(self, x: Tensor) -> Tensor:
        amounts = [(0, 0), (self.random.randint(0, 1), 1), (0, 1), (0, 0)]
        return self.pad(x, amounts, self.random.choice((None, 1.0, -1.0, 0.5)))


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_no_value_changes(seed: int) -> None:
    random = Random(seed)
    graph = SharingGraph(random)
    for _ in range(random.randint(2, 16)):
        graph.grow()
    others = [tensor for tensor in graph.reached[1:-1] if random.random() < 0.15]
    source = graph.finish(*dict.fromkeys((graph.reached[-1], *others)))
    rewrite_and_compare(source, random_input(graph.x.dims, random.randrange(2**16)), numpy_reference=False)
