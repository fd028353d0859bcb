"""Rewrites the binary layers of a .tflite file to packed bits; docs/converter.md tells how.

>>> report = keras_bnn.convert(model, "model.tflite")  # doctest: +SKIP
>>> print(report)  # doctest: +SKIP
>>> print(keras_bnn.converter.inspect("model.tflite"))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversion import convert
    from .inspection import InspectedKernel, InspectedOp, InspectedTensor, Inspection, inspect
    from .report import Comparison, ConversionReport, LeftOp, ReportedOp, Verification

__all__ = [
    "Comparison",
    "ConversionReport",
    "InspectedKernel",
    "InspectedOp",
    "InspectedTensor",
    "Inspection",
    "LeftOp",
    "ReportedOp",
    "Verification",
    "convert",
    "inspect",
]

# Imported when they are asked for: most modules need the schema, which not every runtime brings.
_PLACES = {
    "convert": "conversion",
    **dict.fromkeys(("InspectedKernel", "InspectedOp", "InspectedTensor", "Inspection", "inspect"), "inspection"),
    **dict.fromkeys(("Comparison", "ConversionReport", "LeftOp", "ReportedOp", "Verification"), "report"),
}


def __getattr__(name: str) -> Any:
    """Imports the name that is asked for (PEP 562)."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
