"""Quantizers: functions that binarize activations and kernels in the forward pass and pass a gradient back.

A layer names its quantizers by string, by instance, or as any function of one tensor:

>>> quantizers.get("ste_sign").get_config()
{'clip_value': 1.0}

Each tells in `precision` how many bits a quantized value takes. docs/quantizers.md shows them side by side.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from keras_bnn.needs_keras import keras
from keras_bnn.quantizers.approx_sign import ApproxSign, approx_sign
from keras_bnn.quantizers.dorefa import DoReFa, dorefa
from keras_bnn.quantizers.learned_threshold_sign import LearnedThresholdSign, learned_threshold_sign
from keras_bnn.quantizers.magnitude_aware_sign import MagnitudeAwareSign, magnitude_aware_sign
from keras_bnn.quantizers.no_op import NoOp, no_op
from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.ste_heaviside import SteHeaviside, ste_heaviside
from keras_bnn.quantizers.ste_sign import SteSign, ste_sign
from keras_bnn.quantizers.ste_tern import SteTern, ste_tern
from keras_bnn.quantizers.stochastic_sign import StochasticSign, stochastic_sign
from keras_bnn.quantizers.swish_sign import SwishSign, swish_sign

__all__ = [
    "ApproxSign",
    "DoReFa",
    "LearnedThresholdSign",
    "MagnitudeAwareSign",
    "NoOp",
    "Quantizer",
    "SteHeaviside",
    "SteSign",
    "SteTern",
    "StochasticSign",
    "SwishSign",
    "approx_sign",
    "dorefa",
    "get",
    "learned_threshold_sign",
    "magnitude_aware_sign",
    "no_op",
    "serialize",
    "ste_heaviside",
    "ste_sign",
    "ste_tern",
    "stochastic_sign",
    "swish_sign",
]

_CLASSES: dict[Callable[..., Any], type] = {
    ste_sign: SteSign,
    stochastic_sign: StochasticSign,
    approx_sign: ApproxSign,
    swish_sign: SwishSign,
    magnitude_aware_sign: MagnitudeAwareSign,
    ste_tern: SteTern,
    ste_heaviside: SteHeaviside,
    dorefa: DoReFa,
    learned_threshold_sign: LearnedThresholdSign,
    no_op: NoOp,
}
_BY_NAME = {function.__name__: quantizer for function, quantizer in _CLASSES.items()}
_BY_CLASS_NAME = {quantizer.__name__: quantizer for quantizer in _CLASSES.values()}


def get(identifier: Any, kernel_axes: int | tuple[int, ...] | None = None) -> Callable[[Any], Any] | None:
    """Returns the quantizer that `identifier` names.

    Args:
        identifier: None (no quantizer), a name such as "ste_sign" or "SteSign", the dict that `serialize` made, a
            quantizer class or the function of the same name, or any callable that takes one tensor.
        kernel_axes: For a kernel's quantizer, the axis or axes of the kernel that count the layer's output channels; a
            name then stands for what is meant for kernels. None for an input's quantizer.

    Returns:
        None or a callable. A name, a class and a function of this package give a new instance.

    Raises:
        ValueError: when identifier is none of these.

    Example:

    >>> quantizers.get("dorefa").mode, quantizers.get("dorefa", kernel_axes=-1).mode
    ('activations', 'weights')
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier, custom_objects=_BY_CLASS_NAME)
    elif isinstance(identifier, str):
        identifier = {**_BY_NAME, **_BY_CLASS_NAME}.get(identifier, identifier)
    elif inspect.isfunction(identifier):
        # The instance has a precision and is saved with the model, which a bare function is not.
        identifier = _CLASSES.get(identifier, identifier)
    if inspect.isclass(identifier):
        if kernel_axes is not None and issubclass(identifier, Quantizer):
            return identifier.for_kernel(kernel_axes)
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
