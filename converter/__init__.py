"""Rewrites the binary layers of a .tflite file to packed bits; docs/converter.md tells how.

>>> report = keras_bnn.convert(model, "model.tflite")  # doctest: +SKIP
>>> print(report)  # doctest: +SKIP
>>> print(keras_bnn.converter.inspect("model.tflite"))  # doctest: +SKIP
"""

from __future__ import annotations

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
