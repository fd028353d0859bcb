"""Constraints on latent weights."""

from __future__ import annotations

from typing import Any

import keras

from keras_bnn.constraints.weight_clip import WeightClip

__all__ = ["WeightClip", "get"]

_BY_NAME: dict[str, type[keras.constraints.Constraint]] = {"weight_clip": WeightClip}


def get(identifier: Any) -> Any:
    """Returns the constraint that `identifier` names.

    Args:
        identifier: "weight_clip", or whatever `keras.constraints.get` takes.

    Returns:
        None or a callable.
    """
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    return keras.constraints.get(identifier)
