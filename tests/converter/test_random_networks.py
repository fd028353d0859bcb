"""Whole networks with random layers: the packed file equals the float file on the stock runtime, bit for bit."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.float_graphs import SAME, VALID, FloatGraph, kinds, random_input, rewrite_and_compare

from keras_bnn.converter.graph import Tensor
from keras_bnn.converter.patterns import is_signed

_FORMS = ("less", "greater_equal", "broadcast", "cast", "larq")
_CHANNELS = (1, 2, 5, 8, 31, 32, 33, 40, 64, 65)
_NUMPY_KNOWS = {"ADD", "MUL", "MAX_POOL_2D", "RESHAPE"}


class _Network:
    """A chain of layers as the stock converter writes them."""

    def __init__(self, random: Random):
        self.random = random
        self.graph = FloatGraph(random.randrange(2**32))
        batch = random.choice((-1, 1, 2))
        shape = (batch, random.randint(5, 9), random.randint(5, 9), random.choice((1, 3, 32, 40)))
        self.x = self.graph.add_input("x", shape)

    def build(self) -> tuple[bytes, tuple[int, ...]]:
        """Returns the file and its input's dims."""
        y, extra = self.x, []
        self.convolutions = self.random.randint(0, 3)
        for index in range(self.convolutions):
            y = self.convolution(y, signed=index > 0 or self.random.random() < 0.5)
            if self.random.random() < 0.2:
                extra.append(y)
        y = self.flatten(y)
        for index in range(self.random.randint(1, 2)):
            # A real-valued first layer sums numbers of few bits only, so that the stock runtime's sums are exact too.
            y = self.dense(y, signed=index > 0 or self.convolutions > 0 or self.random.random() < 0.5)
        return self.graph.finish(y, *extra), self.x.dims

    def sign(self, x: Tensor) -> Tensor:
        return self.graph.sign(x, self.random.choice(_FORMS))

    def convolution(self, x: Tensor, *, signed: bool) -> Tensor:
        random, graph = self.random, self.graph
        pool_behind_sign = random.random() < 0.2
        if signed:
            x = self.sign(x)
            if pool_behind_sign:
                x = self.pool(x)
        size = (random.randint(1, 3), random.randint(1, 3))
        padding = random.choice((SAME, VALID))
        if random.random() < 0.4 or min(x.dims[1] - size[0], x.dims[2] - size[1]) < 2:
            pads = [(0, 0), *((random.randint(1, 2), random.randint(1, 2)) for _ in range(2)), (0, 0)]
            x = graph.pad(x, pads, random.choice((None, 0.0, 1.0, -1.0)))
            padding = VALID
        channels = x.dims[3]
        groups = random.choice([g for g in range(1, channels + 1) if channels % g == 0]) if random.random() < 0.3 else 1
        outputs = random.choice(_CHANNELS) if groups == 1 else groups * random.randint(1, 3)
        is_folded = random.random() < 0.5
        weights = graph.kernel((outputs, *size, channels // groups), None if is_folded else 1.0)
        stride = (random.randint(1, 2), random.randint(1, 3))
        bias = graph.bias(outputs) if is_folded else None
        y = graph.conv(x, weights, bias, stride=stride, padding=padding, activation=random.randint(0, 3))
        if random.random() < 0.2:
            y = self.pool(y)
        return self.normalize(y) if not is_folded else y

    def dense(self, x: Tensor, *, signed: bool) -> Tensor:
        units = self.random.choice(_CHANNELS)
        is_folded = self.random.random() < 0.5
        weights = self.graph.kernel((units, x.dims[1]), None if is_folded else 1.0)
        x = self.sign(x) if signed else x
        bias = self.graph.bias(units) if is_folded else None
        y = self.graph.dense(x, weights, bias, activation=self.random.randint(0, 3))
        return self.normalize(y) if not is_folded else y

    def normalize(self, x: Tensor) -> Tensor:
        channels = x.dims[-1]
        multiplier = self.graph.bias(channels)
        y = self.graph.scale(x, np.abs(multiplier) if self.random.random() < 0.3 else multiplier)
        return self.graph.shift(y, self.graph.bias(channels), activation=self.random.randint(0, 3))

    def pool(self, x: Tensor) -> Tensor:
        window = (self.random.randint(1, 2), self.random.randint(1, 2))
        fits = x.dims[1] >= window[0] and x.dims[2] >= window[1]
        return self.graph.pool(x, window, padding=self.random.choice((SAME, VALID)) if fits else SAME)

    def flatten(self, x: Tensor) -> Tensor:
        row = int(np.prod(x.dims[1:]))
        return self.graph.flatten(x) if self.random.random() < 0.5 else self.graph.reshape(x, (x.dims[0], row))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_random_network(seed: int) -> None:
    source, dims = _Network(Random(seed)).build()
    packed = rewrite_and_compare(source, random_input(dims, seed), numpy_reference=False)
    if all(kind.startswith("Bnn") or kind in _NUMPY_KNOWS for kind in kinds(packed)):
        rewrite_and_compare(source, random_input(dims, seed + 1), numpy_reference=True)
    for op in packed.ops:  # a first layer alone may have a kernel that does not tell that it is binary
        assert op.kind not in ("CONV_2D", "FULLY_CONNECTED") or not is_signed(op.input(0))
