"""The .tflite schema as Python classes, taken from the LiteRT package."""

from __future__ import annotations

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError as error:
    raise ImportError(
        "keras_bnn.converter reads .tflite files with the schema of ai-edge-litert, which is not installed: "
        "pip install 'ai-edge-litert>=1.4.0'."
    ) from error

__all__ = ["OP_CODES", "OP_NAMES", "TYPE_NAMES", "schema"]


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


OP_NAMES = _names(schema.BuiltinOperator)
"""Name of each builtin op code, for example 3: "CONV_2D"."""

OP_CODES = {name: code for code, name in OP_NAMES.items()}
"""Code of each builtin op name."""

TYPE_NAMES = {code: name.lower() for code, name in _names(schema.TensorType).items()}
"""Name of each tensor type, for example 0: "float32"."""
