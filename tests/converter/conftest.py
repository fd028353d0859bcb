"""What several tests of the converter read."""

from __future__ import annotations

import pytest
from support.float_graphs import FloatGraph


@pytest.fixture
def source() -> bytes:
    """A first layer, a max-pool before batch normalization, a sign with a float user, a real-valued last layer."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 10, 10, 3))
    y = graph.pool(graph.conv(x, graph.kernel((32, 3, 3, 3), 1.0)))
    y = graph.shift(graph.scale(y, graph.bias(32)), graph.bias(32))
    y = graph.conv(graph.sign(y), graph.kernel((40, 2, 2, 32)), graph.bias(40))
    y = graph.dense(graph.sign(graph.flatten(y)), graph.kernel((20, 360)), graph.bias(20))
    real = graph.rng.normal(size=(5, 20)).astype("f")
    return graph.finish(graph.op("SOFTMAX", [graph.dense(graph.sign(y), real)], (-1, 5)))
