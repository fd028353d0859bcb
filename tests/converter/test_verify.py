"""Verification tells a wrong file from rounding in the reference."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.float_graphs import FloatGraph, random_input, run_file

from keras_bnn.converter import convert
from keras_bnn.converter.exact import exact_reference
from keras_bnn.converter.flatbuffer import read_model, write_model
from keras_bnn.converter.verify import SAMPLES, verify_packed


def two_layers(scale: float, *, real_input: bool = False) -> bytes:
    """Two dense layers with a sign in between; an even number of products sums to 0 now and then."""
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 16))
    y = graph.dense(x if real_input else graph.sign(x), graph.kernel((40, 16), scale))
    return graph.finish(graph.dense(graph.sign(y), graph.kernel((10, 40))))


def test_agreement() -> None:
    verification = convert(two_layers(0.5)).verification
    assert verification is not None
    assert verification.samples == SAMPLES
    for comparison in (verification.exact, verification.reference):
        assert comparison is not None
        assert (comparison.equal_samples, comparison.largest_difference, comparison.equal_argmax) == (SAMPLES, 0, 1)
    assert verification.remark == ""


def test_ties_in_the_reference() -> None:
    """0.1 * +-1 summed up in float32 is not 0 where the exact sum is."""
    source = two_layers(0.1)
    verification = convert(source).verification
    assert verification is not None
    assert verification.exact is not None
    assert verification.reference is not None
    assert (verification.exact.equal_samples, verification.exact.largest_difference) == (SAMPLES, 0)
    assert verification.reference.equal_samples < SAMPLES
    assert "The packed file is exact" in verification.remark


def test_exact_reference_has_exact_sums() -> None:
    x = random_input((64, 16))
    tie, binary = run_file(exact_reference(two_layers(0.1)), [x])[0], run_file(two_layers(1.0), [x])[0]
    np.testing.assert_array_equal(tie, binary)  # a sign does not see a positive scale
    assert (run_file(two_layers(0.1), [x])[0] != binary).any()


def test_exact_reference_keeps_bias_and_activation() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (2, 6, 5, 7))
    y = graph.conv(graph.sign(x), graph.kernel((4, 3, 2, 7)), graph.bias(4), activation=3)
    source = graph.finish(graph.dense(y, graph.kernel((3, 64)), graph.bias(3), activation=1))
    values = [random_input(x.dims)]
    np.testing.assert_array_equal(run_file(exact_reference(source), values)[0], run_file(source, values)[0])


def _with_flipped_weights(packed: bytes) -> bytes:
    model = read_model(packed)
    (graph,) = model.graphs
    op = graph.find("BnnFullyConnected")[1]
    weights = op.input(1)
    assert weights is not None
    graph.set_input(op, 1, graph.add_constant("flipped", weights.values ^ np.int32(0b1011)))
    return write_model(model)


def test_wrong_file_is_an_error() -> None:
    report = convert(two_layers(0.5))
    with pytest.raises(ValueError, match=r"does not compute what its reference does: \d+ of 16 random samples differ"):
        verify_packed(report.reference, _with_flipped_weights(report.model), read_model(report.model))


def test_real_sums_may_round() -> None:
    report = convert(two_layers(0.5, real_input=True))
    wrong = verify_packed(report.reference, _with_flipped_weights(report.model), read_model(report.model))
    assert wrong.exact is not None
    assert wrong.exact.equal_samples < SAMPLES
    assert "Rounding of the real-valued sums" in wrong.remark


def test_inputs_of_free_size_cannot_be_drawn() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, -1, 16))
    y = graph.op("MEAN", [graph.sign(x), graph.integers([1])], (-1, 16))
    rows = graph.reshape(graph.sign(x), (-1, 16))
    report = convert(graph.finish(graph.dense(rows, graph.kernel((4, 16))), y))
    assert report.verification is not None
    assert report.verification.samples == 0
    assert "size of the input 'x' is free" in report.verification.remark


def test_is_left_out_when_asked() -> None:
    assert convert(two_layers(0.5), verify=False).verification is None


def test_infinite_and_undefined_numbers_are_compared_too() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (-1, 16))
    bias = np.array([np.inf, -np.inf, np.nan, 0, 1], np.float32)
    verification = convert(graph.finish(graph.dense(graph.sign(x), graph.kernel((5, 16)), bias))).verification
    assert verification is not None
    for comparison in (verification.exact, verification.reference):
        assert comparison is not None
        assert (comparison.equal_samples, comparison.largest_difference) == (SAMPLES, 0)


def test_an_output_without_samples() -> None:
    graph = FloatGraph()
    x = graph.add_input("x", (SAMPLES, 16))
    y = graph.dense(graph.sign(x), graph.kernel((40, 16), 1.0))
    axes = graph.add_constant("axes", np.array([0, 1], np.int32))
    verification = convert(graph.finish(graph.op("SUM", [y, axes], (), schema.ReducerOptionsT()))).verification
    assert verification is not None
    assert verification.exact is not None
    assert verification.exact.largest_difference == 0
