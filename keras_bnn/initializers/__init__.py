"""Initializers of latent weights."""

from __future__ import annotations

from keras_bnn.initializers.weight_clip_uniform import WeightClipUniform

__all__ = ["WeightClipUniform"]
