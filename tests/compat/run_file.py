"""Runs a .tflite file with the delegate, on whichever stock runtime is installed; for Python 3.7 and newer.

    run_file.py LIBRARY MODEL INPUTS.npz OUTPUTS.npz

Each array of the inputs is one run, after a resize to its shape. The outputs go to OUTPUTS.npz under the same names.
"""

import importlib
import sys

import numpy as np


def load_runtime():
    """The interpreter class and the function that loads a delegate."""
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return module.Interpreter, module.load_delegate
    lite = importlib.import_module("tensorflow").lite
    return lite.Interpreter, lite.experimental.load_delegate


library, model, inputs, outputs = sys.argv[1:]
Interpreter, load_delegate = load_runtime()
interpreter = Interpreter(model_path=model, experimental_delegates=[load_delegate(library)], num_threads=2)
results = {}
with np.load(inputs) as runs:
    for name in runs.files:
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, runs[name].shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, runs[name])
        interpreter.invoke()
        results[name] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
np.savez(outputs, **results)
