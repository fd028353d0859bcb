"""Producers and users stay right, whatever a pass does, and the checker sees it when they do not."""

from __future__ import annotations

import cProfile
import pstats

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import SAME, FloatGraph, kinds

from keras_bnn.converter import convert
from keras_bnn.converter.checker import BrokenGraphError, check_graph
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model, Op, Tensor
from keras_bnn.converter.linked_sequence import LinkedSequence
from keras_bnn.converter.passes import run_pipeline


def names(tensors: list[Tensor]) -> set[str]:
    return {tensor.name for tensor in tensors}


def test_morph_removes_what_only_fed_the_old_way() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    y = graph.scale(graph.shift(graph.sign(x), 1.0), 2.0)
    graph.outputs = [y]
    op = y.producer
    assert op is not None
    graph.morph(op, "NEG", [x], schema.NegOptionsT())
    check_graph(graph)
    assert kinds(graph) == ["NEG"]
    assert names(graph.tensors) == {"x", y.name}
    assert x.users == [op]


def test_shared_constants_and_ops_survive() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    shared = graph.scale(x, 2.0)
    one, two = graph.shift(shared, 1.0), graph.shift(shared, 3.0)
    graph.outputs = [one, two]
    assert one.producer is not None
    graph.set_input(one.producer, 0, x)
    check_graph(graph)
    assert kinds(graph) == ["MUL", "ADD", "ADD"]


def test_stateful_ops_and_pinned_tensors_survive() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    kept = graph.scale(x, 2.0)
    graph.pinned.add(kept)
    called = graph.add_tensor("called", (2, 3))
    graph.add_op("CALL", [x], [called])
    y = graph.op("ADD", [kept, called], (2, 3), schema.AddOptionsT())
    graph.outputs = [y]
    assert y.producer is not None
    graph.morph(y.producer, "NEG", [x], schema.NegOptionsT())
    check_graph(graph)
    assert kinds(graph) == ["MUL", "CALL", "NEG"]


def test_absorb_keeps_the_output() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    y = graph.scale(x, 2.0)
    z = graph.shift(y, 1.0)
    w = graph.scale(z, 4.0)
    graph.outputs = [w]
    first, second = y.producer, z.producer
    assert first is not None
    assert second is not None
    graph.absorb(first, second)
    check_graph(graph)
    assert z.producer is first
    assert kinds(graph) == ["MUL", "MUL"]
    assert y not in graph.tensors


def test_replace_uses() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    y = graph.scale(x, 2.0)
    z = graph.op("ADD", [y, y], (2, 3), schema.AddOptionsT())
    graph.outputs = [z]
    graph.replace_uses(y, x)
    check_graph(graph)
    assert kinds(graph) == ["ADD"]
    assert z.producer is not None
    assert z.producer.inputs == (x, x)
    assert x.users == [z.producer]


def test_one_producer_per_tensor() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 3))
    y = graph.scale(x, 2.0)
    with pytest.raises(ValueError, match="already computed by"):
        graph.add_op("NEG", [x], [y])


def test_lookup_by_name() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, -1))
    assert graph.tensor("x") is x
    assert x.dims == (2, -1)
    with pytest.raises(KeyError, match="0 tensors"):
        graph.tensor("y")


def test_values_of_what_is_no_constant() -> None:
    graph = FloatGraph()
    with pytest.raises(ValueError, match="no constant values"):
        _ = graph.add_input("x", (2, 3)).values


def residual_network(depth: int) -> FloatGraph:
    """Binary convolutions with shortcuts, pools and batch normalization, in a row."""
    graph = FloatGraph()
    x = graph.add_input("x", (1, 4, 4, 8))
    for layer in range(depth):
        y = graph.conv(graph.sign(x), graph.kernel((8, 3, 3, 8), 1.0), padding=SAME)
        y = graph.pool(y, stride=(1, 1), padding=SAME) if layer % 3 == 0 else y
        y = graph.shift(graph.scale(y, graph.bias(8)), graph.bias(8))
        x = graph.op("ADD", [y, x], x.dims, schema.AddOptionsT())
    graph.outputs = [x]
    return graph


def test_the_pipeline_needs_no_more_rounds_for_more_layers() -> None:
    def rounds(depth: int) -> list[str]:
        changes: list[str] = []
        run_pipeline(residual_network(depth), after_pass=lambda _, name: changes.append(name))
        return changes

    assert rounds(48) == rounds(12) != []


def test_conversion_is_linear_in_the_number_of_ops() -> None:
    """By the count of function calls, which is the same on every machine."""

    def calls(depth: int) -> int:
        source = write_model(Model([residual_network(depth)]))
        profile = cProfile.Profile()
        profile.runcall(convert, source, verify=False)
        return pstats.Stats(profile).total_calls

    calls(1)  # imports
    assert calls(80) < 4.4 * calls(20)


class TestChecker:
    """Each kind of damage is found."""

    def graph(self) -> FloatGraph:
        graph = FloatGraph()
        x = graph.add_input("x", (2, 5, 5, 40))
        bits = graph.add_tensor("bits", (2, 5, 5, 2), np.int32)
        graph.add_op("BnnQuantize", [x], [bits], {})
        y = graph.add_tensor("y", (2, 3, 5, 7))
        parameters = [graph.constant(np.zeros(7, np.float32)) for _ in range(2)]
        options = {"channels_in": 40, "padding": 2, "pad_left": 1, "pad_right": 1}
        weights = graph.integers(np.zeros((7, 3, 3, 2)))
        graph.add_op("BnnConv2D", [bits, weights, *parameters], [y], options)
        graph.outputs = [y]
        check_graph(graph)
        return graph

    def conv(self, graph: FloatGraph) -> Op:
        (op,) = graph.find("BnnConv2D")
        return op

    def test_order(self) -> None:
        graph = self.graph()
        graph.ops = LinkedSequence(reversed(graph.ops))
        with pytest.raises(BrokenGraphError, match="before it is computed"):
            check_graph(graph)

    def test_missing_user(self) -> None:
        graph = self.graph()
        graph.inputs[0].users = LinkedSequence()
        with pytest.raises(BrokenGraphError, match="missing among the users"):
            check_graph(graph)

    def test_stale_user(self) -> None:
        graph = self.graph()
        graph.inputs[0].users.append(self.conv(graph))
        with pytest.raises(BrokenGraphError, match="listed as a user"):
            check_graph(graph)

    def test_dangling_tensor(self) -> None:
        graph = self.graph()
        graph.tensors.remove(graph.inputs[0])
        with pytest.raises(BrokenGraphError, match="not in the graph"):
            check_graph(graph)

    def test_removed_producer(self) -> None:
        graph = self.graph()
        graph.inputs[0].users = LinkedSequence()
        graph.ops.remove(graph.ops[0])
        with pytest.raises(BrokenGraphError, match="producer"):
            check_graph(graph)

    @pytest.mark.parametrize(
        "options",
        [{"channels_in": 65}, {"groups": 2, "channels_in": 80}, {"pad_top": 1}, {"padding": 0}, {"stride_h": 2}],
    )
    def test_options_that_do_not_fit_the_shapes(self, options: dict[str, int]) -> None:
        graph = self.graph()
        self.conv(graph).options |= options
        with pytest.raises(BrokenGraphError, match="BnnConv2D"):
            check_graph(graph)

    def test_wrong_parameters(self) -> None:
        graph = self.graph()
        op = self.conv(graph)
        graph.set_input(op, 2, graph.integers(np.zeros(7)))
        with pytest.raises(BrokenGraphError, match="parameter"):
            check_graph(graph)
        graph.set_input(op, 2, graph.constant(np.zeros(8, np.float32)))
        with pytest.raises(BrokenGraphError, match="for 8 channels"):
            check_graph(graph)
