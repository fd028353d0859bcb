"""Models for the runtime's tests, built op by op."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from format_reference import pack
from support.model_builder import ModelBuilder

CHANNELS, CLASSES = 37, 5


@pytest.fixture(scope="session")
def weights() -> np.ndarray:
    """Signs of a dense layer, [CLASSES, CHANNELS]."""
    return np.random.default_rng(3).choice([-1, 1], (CLASSES, CHANNELS))


@pytest.fixture(scope="session")
def dense_model(weights: np.ndarray) -> bytes:
    """A file with a fixed batch of 4: float input, its signs, a packed dense layer with float output."""
    builder = ModelBuilder()
    x = builder.tensor((4, CHANNELS), np.float32)
    bits = builder.tensor((4, 2), np.int32)
    y = builder.tensor((4, CLASSES), np.float32)
    constants = [
        builder.constant(values)
        for values in (pack(weights), np.ones(CLASSES, np.float32), np.zeros(CLASSES, np.float32))
    ]
    builder.custom("BnnQuantize", [x], [bits], {"version": 1})
    builder.custom("BnnFullyConnected", [bits, *constants], [y], {"version": 1, "channels_in": CHANNELS})
    return builder.build([x], [y])


@pytest.fixture(scope="session")
def dense_file(dense_model: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dense_model` on disk."""
    path = tmp_path_factory.mktemp("models") / "dense.tflite"
    path.write_bytes(dense_model)
    return path


@pytest.fixture(scope="session")
def int8_model() -> bytes:
    """A plain file that passes an int8 tensor with scale 0.5 and zero point -3 through a ReLU."""
    builder = ModelBuilder()
    x = builder.tensor((2, 3), np.int8, scales=[0.5], zero_point=-3)
    y = builder.tensor((2, 3), np.int8, scales=[0.5], zero_point=-3)
    builder.stock(schema.BuiltinOperator.RELU, [x], [y])
    return builder.build([x], [y])
