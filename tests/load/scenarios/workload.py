"""What every scenario does: makes interpreters on whichever stock runtime is installed, runs them, checks each result.

Needs numpy and a runtime alone, as the environments of older runtimes have no more. A folder holds the files
NAME.tflite, each with NAME.npz: inputs x0, x1, ... of different shapes, and y0, y1, ..., what they have to give.
"""

import argparse
import importlib
import random
import time
from pathlib import Path

import numpy as np


def _load_runtime():
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError("There is neither ai-edge-litert nor tflite-runtime here.")


_RUNTIME = _load_runtime()


class Workload:
    """Packed files with their cases, and the library that runs them."""

    def __init__(self, library, folder, seed):
        self.library, self.folder, self.seed = library, folder, seed
        self.random = random.Random(seed)
        self.models, self.cases = {}, {}
        for path in sorted(Path(folder).glob("*.tflite")):
            self.models[path.stem] = path.read_bytes()
            with np.load(path.with_suffix(".npz")) as arrays:
                count = len(arrays.files) // 2
                self.cases[path.stem] = [(arrays[f"x{i}"], arrays[f"y{i}"]) for i in range(count)]

    def delegate(self):
        """A new delegate."""
        return _RUNTIME.load_delegate(self.library)

    def interpreter(self, name, delegate=None, num_threads=1):
        """A new interpreter of a file, with a delegate of its own where none is given."""
        delegate = delegate or self.delegate()
        return _RUNTIME.Interpreter(
            model_content=self.models[name], experimental_delegates=[delegate], num_threads=num_threads
        )

    def stock_interpreter(self, path):
        """A new interpreter of a file without custom ops, without our delegate."""
        return _RUNTIME.Interpreter(model_content=path.read_bytes(), num_threads=1)

    def check(self, name, interpreter, generator=None):
        """Runs one of the file's cases, drawn at random, and compares its result on every bit."""
        x, expected = (generator or self.random).choice(self.cases[name])
        y = run(interpreter, x)
        if y.dtype != expected.dtype or y.shape != expected.shape or y.tobytes() != expected.tobytes():
            raise AssertionError(f"{name} is wrong on an input of the shape {x.shape}.")


def run(interpreter, x):
    """One run, after a resize."""
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def main(scenario):
    """Calls scenario(workload, deadline) with what the command line says; it returns how often it ran what."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("folder")
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    args = parser.parse_args()
    counts = scenario(Workload(args.library, args.folder, args.seed), time.monotonic() + args.seconds)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
