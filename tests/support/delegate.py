"""Runs a model on the stock interpreter through the delegate, and compares bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from format_reference import run_packed

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


def assert_same_bits(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Assert equal types, shapes and bits: -0.0 is not 0.0 here."""
    assert len(actual) == len(expected)
    for index, (ours, reference) in enumerate(zip(actual, expected, strict=True)):
        assert ours.dtype == reference.dtype, f"output {index}"
        assert ours.shape == reference.shape, f"output {index}"
        bits = np.dtype(f"u{ours.itemsize}")
        differs = ours.view(bits) != reference.view(bits)
        if differs.any():
            first = tuple(int(axis) for axis in np.argwhere(differs)[0])
            raise AssertionError(
                f"output {index}: {differs.sum()} of {differs.size} elements differ, the first at {first}: "
                f"{ours[first]!r}, expected {reference[first]!r}"
            )


def assert_equals_reference(model: bytes, inputs: Sequence[np.ndarray], isa: str, num_threads: int = 1) -> None:
    """Assert that one run through the delegate gives the bits of format_reference."""
    assert_same_bits(Session(model, isa, num_threads).run(inputs), run_packed(model, inputs))
