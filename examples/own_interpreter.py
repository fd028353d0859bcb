"""Runs a packed file with the stock interpreter of your own program; keras-bnn only gives it a delegate.

Run it as `python examples/own_interpreter.py packed.tflite`.
"""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_bnn.runtime import cpu_info, load_delegate


def main() -> None:
    """Runs the file once on random numbers and prints its outputs."""
    interpreter = Interpreter(model_path=sys.argv[1], experimental_delegates=[load_delegate()], num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        x = np.random.default_rng(0).standard_normal(detail["shape"])
        interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
    interpreter.invoke()
    for detail in interpreter.get_output_details():
        print(detail["name"], interpreter.get_tensor(detail["index"]))
    print(f"kernels: {cpu_info()['chosen_kernel_set']}")


if __name__ == "__main__":
    main()
