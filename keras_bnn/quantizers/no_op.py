"""No quantization."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer


def no_op(x: KerasTensor) -> KerasTensor:
    """The identity.

    Forward: `y = x`.

    Backward: `dx = dy`.

    Args:
        x: Tensor of any shape and dtype, or the variable of a kernel.

    Returns:
        A tensor with the values, the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(no_op(np.array([-2.0, 0.5]))).tolist()
    [-2.0, 0.5]
    """
    return ops.cast(x, x.dtype)


@keras.saving.register_keras_serializable(package="keras_bnn")
class NoOp(Quantizer):
    """The quantizer "no_op": changes nothing.

    Forward: `y = x`.

    Backward: `dx = dy`.

    Args:
        precision: Positive int, bits that a value takes: 32, or less where the values are quantized already, say 1 for
            a kernel whose optimizer keeps it at +1 and -1.

    Raises:
        ValueError: when precision is no positive int.

    Example:

    >>> keras.ops.convert_to_numpy(NoOp(precision=1)(np.array([-1.0, 1.0]))).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, precision: int = 32) -> None:
        if not isinstance(precision, int) or precision < 1:
            raise ValueError(f"NoOp got precision={precision!r}: pass a number of bits, for example 32.")
        self.precision = precision

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns x."""
        return no_op(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"precision": self.precision}
