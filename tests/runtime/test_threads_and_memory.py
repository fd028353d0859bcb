"""Interpreters in threads and in forked processes, and what they hold in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from format_reference import pack

from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model
from keras_bnn.runtime import Interpreter, PartitionMemory, weight_bytes

UNITS = 2048


def dense_network() -> bytes:
    """Signs, and two dense layers."""
    model = Model()
    graph = model.graphs[0]
    rng = np.random.default_rng(21)
    x, y = graph.add_input("x", (-1, UNITS)), graph.add_tensor("y", (-1, UNITS))
    signs, hidden = (graph.add_tensor(name, (-1, UNITS // 32), np.int32) for name in ("signs", "hidden"))
    weights = [graph.add_constant("w", pack(rng.choice([-1, 1], (UNITS, UNITS)))) for _ in range(2)]
    thresholds = graph.add_constant("thresholds", np.zeros(UNITS, np.int32))
    multiplier, bias = (graph.add_constant(f"{value}", np.full(UNITS, value, np.float32)) for value in (1, 0))
    graph.add_op("BnnQuantize", [x], [signs], {})
    graph.add_op("BnnFullyConnected", [signs, weights[0], thresholds], [hidden], {"channels_in": UNITS})
    graph.add_op("BnnFullyConnected", [hidden, weights[1], multiplier, bias], [y], {"channels_in": UNITS})
    graph.outputs.append(y)
    return write_model(model)


@pytest.fixture(scope="module")
def content() -> bytes:
    return dense_network()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(22).normal(size=(8, UNITS))


def test_interpreters_in_several_threads(content: bytes, x: np.ndarray) -> None:
    expected = Interpreter(content, isa="scalar").predict(x)

    def run(number: int) -> int:
        interpreter = Interpreter(content, num_threads=1 + number % 4)
        return sum(not np.array_equal(interpreter.predict(x), expected) for _ in range(30))

    with ThreadPoolExecutor(6) as executor:
        assert list(executor.map(run, range(12))) == [0] * 12


def test_memory_of_a_partition(content: bytes, x: np.ndarray) -> None:
    interpreter = Interpreter(content, num_threads=2)
    interpreter.predict(x)
    (memory,) = interpreter.memory()
    assert memory.activations == 2 * len(x) * UNITS // 8  # the signs and the hidden layer, alive at the same time
    assert memory.scratch > 0
    assert 2 * UNITS * UNITS // 8 <= memory.weights < 2 * UNITS * UNITS // 8 * 1.1
    assert weight_bytes() >= memory.weights
    assert isinstance(memory, PartitionMemory)


_EIGHT_INTERPRETERS = """
import re
import sys

import numpy as np
from keras_bnn.runtime import Interpreter, weight_bytes

def resident():  # without the pages of files
    with open("/proc/self/status") as file:
        return int(re.search(r"RssAnon:\\s+(\\d+) kB", file.read())[1]) * 1024

def run():
    interpreter = Interpreter(sys.argv[1])
    interpreter.predict(np.ones((1, interpreter.inputs[0].shape[1]), np.float32))
    return interpreter

interpreters = [run()]
before, weights = resident(), weight_bytes()
interpreters += [run() for _ in range(7)]
print(weights, weight_bytes(), resident() - before)
"""


def test_eight_interpreters_hold_the_weights_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(content)
    command = [sys.executable, "-c", _EIGHT_INTERPRETERS, str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    first, all_together, grown = map(int, output.split())
    assert first == all_together >= 2 * UNITS * UNITS // 8
    assert grown < 7 * first / 4  # what the runtime itself takes, and little else


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_process(content: bytes, x: np.ndarray) -> None:
    used = Interpreter(content, num_threads=3)
    expected = used.predict(x)
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(30)  # a hang ends the child by a signal
        same = False
        try:
            own = Interpreter(content, num_threads=2)
            same = np.array_equal(used.predict(x), expected) and np.array_equal(own.predict(x), expected)
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(used.predict(x), expected)
