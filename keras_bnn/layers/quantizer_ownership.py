"""Which layer a quantizer with variables belongs to."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import keras

_OWNERS: weakref.WeakKeyDictionary[keras.layers.Layer, tuple[weakref.ref[keras.layers.Layer], str]]
_OWNERS = weakref.WeakKeyDictionary()


def build_quantizer(quantizer: Any, shape: Sequence[int | None], layer: keras.layers.Layer, role: str) -> None:
    """Creates the variables of a quantizer that is itself a Keras layer; other quantizers need nothing.

    A quantizer without weights (a sign, or a stochastic sign with its seed alone) may serve many layers. One with
    weights serves one layer: its weights have the shape of that layer's inputs, and a saved model would load them into
    one of the layers only.

    Args:
        quantizer: A quantizer, or None.
        shape: Shape of what it quantizes.
        layer: The layer that it serves.
        role: Name of the layer's argument, for example "input_quantizer".

    Raises:
        ValueError: when the quantizer has weights and serves another layer, or another role in this one.
    """
    if not isinstance(quantizer, keras.layers.Layer):
        return
    if not quantizer.built:
        quantizer.build(shape)
    if not quantizer.weights:
        return
    owner, served = _OWNERS.get(quantizer, (weakref.ref(layer), role))
    other = owner()
    if other is not None and (other is not layer or served != role):
        name = type(quantizer).__name__
        raise ValueError(
            f"The layer '{layer.name}' got as {role} a {name} with weights that is the {served} of "
            f"'{other.name}': make a {name} of its own for each layer."
        )
    _OWNERS[quantizer] = (weakref.ref(layer), role)
