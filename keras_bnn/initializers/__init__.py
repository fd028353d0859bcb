"""Initializers of latent weights."""

from __future__ import annotations

from typing import Any

import keras_bnn.needs_keras as needs_keras  # names the extra where Keras is missing
from keras_bnn.initializers.weight_clip_uniform import WeightClipUniform

__all__ = ["WeightClipUniform", "get"]

_BY_NAME = {"weight_clip_uniform": WeightClipUniform}


def get(identifier: Any) -> Any:
    """Returns the initializer that `identifier` names.

    Args:
        identifier: "weight_clip_uniform", or whatever `keras.initializers.get` takes.

    Returns:
        None or a callable.
    """
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    return needs_keras.keras.initializers.get(identifier)
