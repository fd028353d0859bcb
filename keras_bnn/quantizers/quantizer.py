"""The base class of the quantizers without state."""

from __future__ import annotations

from typing import Any

from keras import KerasTensor


class Quantizer:
    """A function from real to quantized values that knows how to write itself into a model's configuration.

    A subclass has `__call__(x)`, which keeps the shape and the dtype of x, and `get_config()`, which returns the
    arguments of its constructor. It holds no variables, so one instance may serve many layers; a quantizer with
    variables is a `keras.layers.Layer` instead, as `LearnedThresholdSign` is.

    Attributes:
        precision: Bits that a quantized value takes.
    """

    precision: int = 32

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
