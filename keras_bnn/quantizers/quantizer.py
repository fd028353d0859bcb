"""The base class of the quantizers without state."""

from __future__ import annotations

import math
from typing import Any

from keras import KerasTensor


class Quantizer:
    """A function from real to quantized values that knows how to write itself into a model's configuration.

    A subclass has `__call__(x)`, which keeps the shape and the dtype of x, and `get_config()`, which returns the
    arguments of its constructor. It holds no variables, so one instance may serve many layers; a quantizer with
    variables is a `keras.layers.Layer` instead, as `LearnedThresholdSign` is.

    Attributes:
        precision: Bits that a quantized value takes.
        gradient_reach: The largest abs(x) at which the gradient has the sign of dy. `Bop` asks for it, since it keeps
            weights at +1 and -1.
    """

    precision: int = 32
    gradient_reach: float = math.inf

    @classmethod
    def for_kernel(cls, output_axes: int | tuple[int, ...]) -> Quantizer:
        """Makes the quantizer that its name stands for as the `kernel_quantizer` of a layer.

        Args:
            output_axes: The axis, or the axes, of the kernel that count the layer's output channels.
        """
        return cls()

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the quantized x."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(x): define it to return the quantized x.")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        """Makes a quantizer from what `get_config` returned."""
        return cls(**config)
