"""Runs a model on the stock interpreter through the delegate. Needs no more than the runtime, also in a userland."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_bnn import runtime


class Session:
    """The stock interpreter with a model and our delegate, as users drive it themselves."""

    def __init__(self, model: bytes, isa: str, num_threads: int = 1) -> None:
        self._interpreter = runtime.stock_runtime().Interpreter(
            model_content=model, experimental_delegates=[runtime.load_delegate(isa=isa)], num_threads=num_threads
        )
        self._interpreter.allocate_tensors()

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Resize the inputs where their shapes have changed, run once, and return copies of the outputs."""
        details = self._interpreter.get_input_details()
        resized = False
        for detail, x in zip(details, inputs, strict=True):
            if tuple(detail["shape"]) != x.shape:
                self._interpreter.resize_tensor_input(detail["index"], x.shape)
                resized = True
        if resized:
            self._interpreter.allocate_tensors()
        for detail, x in zip(details, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], x)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._interpreter.get_output_details()]
