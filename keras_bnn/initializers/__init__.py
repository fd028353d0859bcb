"""Initializers of latent weights."""

from __future__ import annotations

import keras_bnn.needs_keras  # noqa: F401  names the extra where Keras is missing
from keras_bnn.initializers.weight_clip_uniform import WeightClipUniform

__all__ = ["WeightClipUniform"]
