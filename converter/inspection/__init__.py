"""`inspect`: what a .tflite file holds, packed or not, as an object, as a table and as a page."""

from __future__ import annotations

from .kernels import InspectedKernel
from .model import InspectedOp, InspectedTensor, Inspection
from .read import inspect

__all__ = ["InspectedKernel", "InspectedOp", "InspectedTensor", "Inspection", "inspect"]
