"""Metrics of binary networks."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.metrics.flip_ratio import FlipRatio

__all__ = ["FlipRatio"]
