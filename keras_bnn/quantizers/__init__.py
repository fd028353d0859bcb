"""Quantizers: functions that binarize activations and kernels in the forward pass and pass a gradient back.

A layer names its quantizers by string, by instance, or as any function of one tensor:

>>> quantizers.get("ste_sign").get_config()
{'clip_value': 1.0}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.ste_sign import SteSign, ste_sign

__all__ = ["Quantizer", "SteSign", "get", "serialize", "ste_sign"]

_BY_NAME: dict[str, type[Quantizer]] = {"ste_sign": SteSign}


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """Returns the quantizer that `identifier` names.

    Args:
        identifier: None (no quantizer), a name such as "ste_sign", the dict that `serialize` made, a quantizer class,
            or any callable that takes one tensor.

    Returns:
        None or a callable.

    Raises:
        ValueError: when identifier is none of these.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        identifier = _BY_NAME.get(identifier, identifier)
    if inspect.isclass(identifier):
        identifier = identifier()
    if identifier is None or callable(identifier):
        return identifier
    names = ", ".join(repr(name) for name in _BY_NAME)
    raise ValueError(
        f"Unknown quantizer {identifier!r}: pass one of the names {names}, a function of one tensor, or None."
    )


def serialize(quantizer: Callable[[Any], Any] | None) -> Any:
    """Returns the configuration of a quantizer, from which `get` makes an equal one."""
    return keras.saving.serialize_keras_object(quantizer)
