"""`keras_bnn.binarize(model)`: a binary network from a real-valued one."""

from __future__ import annotations

from keras_bnn.binarization.binarize import binarize

__all__ = ["binarize"]
