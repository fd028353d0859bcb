"""Interpreter.profile and measure_peak."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from format_reference import pack

from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model
from keras_bnn.runtime import Interpreter, cpu_info, measure_peak


def large_and_small_layer() -> bytes:
    """Signs of 1024 values, a dense layer with 1024 units, one with 2, and an op of the runtime."""
    model = Model()
    graph = model.graphs[0]
    rng = np.random.default_rng(11)
    x, y = graph.add_input("x", (-1, 1024)), graph.add_tensor("small", (-1, 2))
    signs, large = (graph.add_tensor(name, (-1, 32), np.int32) for name in ("signs of x", "large"))
    weights = [graph.add_constant("w", pack(rng.choice([-1, 1], (units, 1024)))) for units in (1024, 2)]
    thresholds = graph.add_constant("thresholds", np.zeros(1024, np.int32))
    multiplier, bias = (graph.add_constant(f"{value}", np.full(2, value, np.float32)) for value in (1, 0))
    graph.add_op("BnnQuantize", [x], [signs], {})
    graph.add_op("BnnFullyConnected", [signs, weights[0], thresholds], [large], {"channels_in": 1024})
    graph.add_op("BnnFullyConnected", [large, weights[1], multiplier, bias], [y], {"channels_in": 1024})
    doubled = graph.add_tensor("doubled", (-1, 2))
    graph.add_op("ADD", [y, y], [doubled])
    graph.outputs.append(doubled)
    return write_model(model)


def test_times_the_ops_of_the_last_run() -> None:
    interpreter = Interpreter(large_and_small_layer(), profile=True)
    assert [(op.partition, op.node, op.name, op.output, op.nanoseconds) for op in interpreter.profile()] == [
        (0, 0, "BnnQuantize", "signs of x", 0),
        (0, 1, "BnnFullyConnected", "large", 0),
        (0, 2, "BnnFullyConnected", "small", 0),
    ]
    interpreter.predict(np.random.default_rng(12).normal(size=(32, 1024)))
    best = [10**9] * 3
    for _ in range(20):
        start = time.perf_counter_ns()
        interpreter.invoke()
        whole = time.perf_counter_ns() - start
        times = [op.nanoseconds for op in interpreter.profile()]
        assert sum(times) < whole
        best = [min(pair) for pair in zip(best, times, strict=True)]
    assert 0 < best[2] < best[1]


def test_profiled_outputs_are_the_same() -> None:
    x = np.random.default_rng(13).normal(size=(5, 1024))
    plain, profiled = (Interpreter(large_and_small_layer(), profile=profile) for profile in (False, True))
    np.testing.assert_array_equal(profiled.predict(x), plain.predict(x))


def test_each_interpreter_has_its_own_profile() -> None:
    first, second = (Interpreter(large_and_small_layer(), isa="scalar", profile=True) for _ in range(2))
    first.predict(np.ones((1, 1024)))
    assert all(op.nanoseconds > 0 for op in first.profile())
    assert [op.nanoseconds for op in second.profile()] == [0, 0, 0]


def test_file_without_packed_ops(int8_model: bytes) -> None:
    assert Interpreter(int8_model, profile=True).profile() == []


def test_interpreter_that_is_not_profiled(dense_file: Path) -> None:
    with pytest.raises(ValueError, match=r"dense\.tflite is not profiled: make the interpreter with profile=True"):
        Interpreter(dense_file).profile()


@pytest.mark.parametrize("isa", cpu_info()["supported_kernel_sets"])
def test_peak(isa: str) -> None:
    peaks = {x_bits: measure_peak(x_bits, isa=isa) for x_bits in (1, 8, 32)}
    assert min(peaks.values()) > 1e7
    assert peaks[1] == max(peaks.values()) < 1e13


def test_peak_is_of_the_chosen_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    if cpu_info()["supported_kernel_sets"] == ["scalar"]:
        pytest.skip("this CPU runs the scalar kernels alone")
    best = measure_peak()
    monkeypatch.setenv("KERAS_BNN_ISA", "scalar")
    assert measure_peak() < best


def test_refuses_a_peak_without_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no kernels 'mmx'; those that run here are .*'scalar'"):
        measure_peak(isa="mmx")
    with pytest.raises(ValueError, match=r"x_bits is 2: pass 1, 8 or 32"):
        measure_peak(2)
    for num_threads in (0, 1.5, "2", 2**40):
        with pytest.raises(ValueError, match=f"num_threads is {num_threads!r}: pass a whole number"):
            measure_peak(num_threads=num_threads)  # type: ignore[arg-type]
    monkeypatch.setenv("KERAS_BNN_ISA", "mmx")
    with pytest.raises(ValueError, match="no kernels 'mmx'"):
        measure_peak()
