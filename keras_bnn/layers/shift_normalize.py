"""Normalization by powers of two, and its gradient by powers of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import KerasTensor, ops

from keras_bnn.power_of_two import ap2


def shift_normalize(
    x: KerasTensor, gamma: KerasTensor, mean: KerasTensor, scale: KerasTensor, share: KerasTensor, axes: Sequence[int]
) -> KerasTensor:
    """Returns `AP2(gamma) * (x - mean) * scale`: a batch normalization by shifts (arXiv:1602.02830, algorithm 3).

    Backward, as the paper's authors' Torch7 program computes it, with sums over `axes`, `c = AP2(x - mean)` and
    `g = AP2(gamma)`:

    - `dx = g * scale * (dy - share * (sum(dy) + c * scale^2 * sum(c * dy)))`, which includes what x adds to mean and
      scale
    - `dgamma = sum(AP2((x - mean) * scale) * dy)`

    Args:
        x: Tensor of float dtype.
        gamma: Tensor that broadcasts with x, of size 1 on `axes`.
        mean: Means of x over `axes`, of the shape of gamma. Gets no gradient.
        scale: Powers of two, of the shape of gamma. Gets no gradient.
        share: The part that each element of x has in the mean: 1 / count, or 0 where it is masked. Broadcasts with x.
        axes: Axes of the means.
    """

    @ops.custom_gradient
    def function(
        x: KerasTensor, gamma: KerasTensor, mean: KerasTensor, scale: KerasTensor, share: KerasTensor
    ) -> tuple[KerasTensor, Any]:
        centered, factor = x - mean, ap2(gamma)

        def backward(*args: KerasTensor, upstream: KerasTensor | None = None) -> tuple[KerasTensor, ...]:
            # torch passes the output's gradient by name, TensorFlow and JAX by position.
            dy = args[0] if upstream is None else upstream
            rounded = ap2(centered)
            spread = rounded * scale * scale * ops.sum(rounded * dy, axes, keepdims=True)
            dx = factor * scale * (dy - share * (ops.sum(dy, axes, keepdims=True) + spread))
            # scale is a power of two, so AP2(centered * scale) = AP2(centered) * scale
            dgamma = ops.sum(rounded * scale * dy, axes, keepdims=True)
            return dx, dgamma, ops.zeros_like(mean), ops.zeros_like(scale), ops.zeros_like(share)

        return centered * (factor * scale), backward

    return function(x, gamma, mean, scale, share)


def straight_through_ap2(x: Any) -> KerasTensor:
    """Returns `AP2(x)`; its gradient is that of x."""

    @ops.custom_gradient
    def function(x: KerasTensor) -> tuple[KerasTensor, Any]:
        return ap2(x), lambda *args, upstream=None: args[0] if upstream is None else upstream

    return function(ops.cast(x, x.dtype))  # reads a variable: a custom gradient takes tensors only
