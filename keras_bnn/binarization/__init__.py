"""`keras_bnn.binarize(model)`: a binary network from a real-valued one."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.binarization.model import binarize

__all__ = ["binarize"]
