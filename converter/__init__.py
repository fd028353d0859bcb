"""Rewrites the binary layers of a .tflite file to packed bits; docs/converter.md tells how.

>>> report = keras_bnn.convert(model, "model.tflite")  # doctest: +SKIP
>>> print(report)  # doctest: +SKIP
>>> print(keras_bnn.converter.inspect("model.tflite"))  # doctest: +SKIP
"""

from __future__ import annotations

from .conversion import convert
from .inspection import Inspection, inspect
from .report import Comparison, ConversionReport, LeftOp, PackedOp, Verification

__all__ = ["Comparison", "ConversionReport", "Inspection", "LeftOp", "PackedOp", "Verification", "convert", "inspect"]
