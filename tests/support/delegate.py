"""Compares what a model gives through the delegate bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from format_reference import run_packed

from support.session import Session


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
