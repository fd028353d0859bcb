"""A process whose addresses are limited gets an error where memory runs out, and lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource
import sys

import numpy as np

from keras_bnn import runtime
from keras_bnn.converter.flatbuffer import write_model
from keras_bnn.converter.graph import Model

# A line of one pixel, of which a depthwise kernel takes eight at a time: 32 bytes for each image.
model = Model()
graph = model.graphs[0]
x, bits = graph.add_input("x", (-1, 1, 1, 1)), graph.add_tensor("bits", (-1, 1, 1, 1), np.int32)
y = graph.add_tensor("y", (-1, 1, 1, 1))
ones = graph.add_constant("ones", np.ones(1, np.float32))
weights = graph.add_constant("weights", np.zeros((1, 1, 1), np.int32))
graph.add_op("BnnQuantize", [x], [bits], {})
graph.add_op("BnnDepthwiseConv2D", [bits, weights, ones, ones], [y], {"channels_in": 1, "padding": 0})
graph.outputs.append(y)

interpreter = runtime.Interpreter(write_model(model), num_threads=int(sys.argv[1]))
few, many = (np.ones((images, 1, 1, 1), np.float32) for images in (3, 3 << 22))
assert (interpreter.predict(few) == 2).all()
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
unlimited = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 28), unlimited[1]))
try:
    interpreter.predict(many, batch_size=len(many))
except ValueError as error:
    print(error)
assert (interpreter.predict(few) == 2).all()
resource.setrlimit(resource.RLIMIT_AS, unlimited)
assert (interpreter.predict(many, batch_size=len(many)) == 2).all()
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of addresses are Linux's")
@pytest.mark.parametrize("threads", [1, 2])
def test_out_of_memory(threads: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    error, alive = done.stdout.splitlines()
    assert "fails on inputs of the shape (12582912, 1, 1, 1): keras-bnn: out of memory" in error
    assert alive == "alive"
