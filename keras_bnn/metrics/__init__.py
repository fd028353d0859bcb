"""Metrics of binary networks."""

from __future__ import annotations

from keras_bnn.metrics.flip_ratio import FlipRatio

__all__ = ["FlipRatio"]
