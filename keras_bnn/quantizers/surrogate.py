"""What all quantizers share: steps in the forward pass, another function's gradient in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, ops

Gradient = Callable[[KerasTensor, KerasTensor], KerasTensor]
"""From x and the gradient of y to the gradient of x."""


def read(x: Any) -> tuple[KerasTensor, Any]:
    """Returns x as a tensor, and the 1 from which a quantizer makes the values that it selects among.

    The TFLite converter keeps a sign as one comparison and one select when the select's values are scalars: right for
    activations. In a kernel the same select should fold into a constant, but the converter folds an op only when that
    does not blow its operands up: the select's values need the kernel's size. Only kernels arrive as variables, and
    only TensorFlow's graphs reach the converter; torch would spend memory and time on such values.
    """
    is_exported = isinstance(x, keras.Variable) and keras.backend.backend() == "tensorflow"
    if isinstance(x, KerasTensor):
        raise TypeError(
            "A quantizer got a symbolic tensor of a model that is being put together: make a layer of it, "
            "keras_bnn.layers.Quantize(quantizer)(x)."
        )
    x = ops.cast(x, x.dtype)  # a custom gradient takes tensors only
    return x, ops.ones_like(x) if is_exported else 1.0


def with_gradient(
    forward: Callable[..., KerasTensor], gradient: Gradient, x: KerasTensor, *constants: KerasTensor
) -> KerasTensor:
    """Returns `forward(x, *constants)` in the dtype of x; its gradient is `gradient(x, dy)`, and 0 to constants."""

    @ops.custom_gradient
    def function(x: KerasTensor, *constants: KerasTensor) -> tuple[KerasTensor, Any]:
        def backward(*args: KerasTensor, upstream: KerasTensor | None = None) -> Any:
            # torch passes the output's gradient by name, TensorFlow and JAX by position.
            dx = gradient(x, args[0] if upstream is None else upstream)
            return (dx, *(ops.zeros_like(constant) for constant in constants)) if constants else dx

        return ops.cast(forward(x, *constants), x.dtype), backward

    return function(x, *constants)


def sign(x: KerasTensor, gradient: Gradient) -> KerasTensor:
    """Returns -1 where x is below 0 and else +1, with the gradient `gradient(x, dy)`."""
    x, one = read(x)
    # x < 0 rather than x >= 0: a packed bit is `x < 0`, so a NaN is +1 here as it is there.
    return with_gradient(lambda x: ops.where(x < 0, -one, one), gradient, x)


def straight_through(clip_value: float) -> Gradient:
    """Returns the straight-through estimator (arXiv:1602.02830, eq. 4): `dy if abs(x) <= clip_value else 0`."""

    def gradient(x: KerasTensor, dy: KerasTensor) -> KerasTensor:
        # A select rather than a product with 0 and 1, so that an infinite dy is cancelled too.
        return ops.where(ops.abs(x) <= _bound(clip_value, dy), dy, 0)

    return gradient


def _bound(clip_value: float, dy: KerasTensor) -> Any:
    """Returns clip_value; where torch compiles, as a tensor that depends on dy.

    What depends on x alone, torch.compile computes in the forward pass and keeps for the backward pass. A kept mask of
    booleans takes longer to store than to compute again.
    """
    if keras.backend.backend() != "torch":
        return clip_value
    import torch

    if not torch.compiler.is_compiling():
        return clip_value
    bound = ops.cast(clip_value, dy.dtype)
    return ops.where(ops.isnan(dy), bound, bound)


def checked_clip_value(name: str, clip_value: float) -> float:
    """Returns clip_value as a float.

    Raises:
        ValueError: when it is not positive.
    """
    if clip_value is None:
        raise ValueError(f"{name} got clip_value=None: pass float('inf') for a gradient that is cancelled nowhere.")
    if not clip_value > 0:
        raise ValueError(f"{name} got clip_value={clip_value!r}: pass a number above 0, for example 1.0.")
    return float(clip_value)
