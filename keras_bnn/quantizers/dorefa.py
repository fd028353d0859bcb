"""k-bit values: the quantizers of DoReFa-Net."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.surrogate import read, with_gradient

MODES = ("activations", "weights")
_MOST_BITS = 16


def dorefa(x: KerasTensor, k_bit: int = 2, mode: str = "activations") -> KerasTensor:
    """k-bit value of x, with straight-through rounding.

    With `n = 2**k_bit - 1` and `round` to the nearest integer, halves to the even one (DoReFa-Net, arXiv:1606.06160):

    | mode | forward | backward |
    | --- | --- | --- |
    | "activations" | `y = round(n * clip(x, 0, 1)) / n` (eq. 5 and 11) | `dx = dy if 0 <= x <= 1 else 0` |
    | "weights" | `y = 2 * round(n * (tanh(x) / (2 * m) + 1 / 2)) / n - 1` with `m = max(abs(tanh(x)))` (eq. 9) | `dx = dy * (1 - tanh(x)**2) / m`; none goes through m |

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        k_bit: Bits of a value, from 1 to 16.
        mode: "activations", to values in [0, 1], or "weights", to values in [-1, 1].

    Returns:
        A tensor of at most `2**k_bit` different values, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(dorefa(np.array([-2.0, 0.2, 0.3, 3.0], "float32"), k_bit=1)).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """  # noqa: E501
    x, _ = read(x)
    levels = 2**k_bit - 1
    # In float32 at least: shorter types have no room for a product with the number of levels.
    dtype = keras.backend.result_type(x.dtype, "float32")

    def rounded(x: KerasTensor) -> KerasTensor:
        return ops.round(ops.cast(x, dtype) * levels) / levels

    _check_mode("dorefa", mode)
    if mode == "activations":
        return with_gradient(
            lambda x: rounded(ops.clip(x, 0, 1)),
            lambda x, dy: ops.where(ops.logical_and(x >= 0, x <= 1), dy, ops.zeros_like(dy)),
            x,
        )
    limited = ops.tanh(ops.cast(x, dtype))
    largest = ops.stop_gradient(ops.max(ops.abs(limited)))
    halves = ops.where(largest > 0, limited / (2 * ops.where(largest > 0, largest, 1.0)), 0.0 * limited)
    return ops.cast(2 * with_gradient(rounded, lambda x, dy: dy, halves + 0.5) - 1, x.dtype)


def _check_mode(name: str, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"{name} got mode={mode!r}: pass 'activations' or 'weights'.")


@keras.saving.register_keras_serializable(package="keras_bnn")
class DoReFa(Quantizer):
    """The quantizer "dorefa": k-bit values with straight-through rounding.

    With `n = 2**k_bit - 1` and `round` to the nearest integer, halves to the even one (DoReFa-Net, arXiv:1606.06160):

    | mode | forward | backward |
    | --- | --- | --- |
    | "activations" | `y = round(n * clip(x, 0, 1)) / n` (eq. 5 and 11) | `dx = dy if 0 <= x <= 1 else 0` |
    | "weights" | `y = 2 * round(n * (tanh(x) / (2 * m) + 1 / 2)) / n - 1` with `m = max(abs(tanh(x)))` (eq. 9) | `dx = dy * (1 - tanh(x)**2) / m`; none goes through m |

    Args:
        k_bit: Bits of a value, from 1 to 16.
        mode: "activations", to values in [0, 1], or "weights", to values in [-1, 1]. As the `kernel_quantizer` of a
            layer the name "dorefa" stands for "weights".

    Raises:
        ValueError: when k_bit or mode is another value.

    Example:

    >>> keras.ops.convert_to_numpy(DoReFa(1, "weights")(np.array([-2.0, -0.1, 0.1, 3.0], "float32"))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """  # noqa: E501

    def __init__(self, k_bit: int = 2, mode: str = "activations") -> None:
        if not isinstance(k_bit, int) or not 1 <= k_bit <= _MOST_BITS:
            raise ValueError(f"DoReFa got k_bit={k_bit!r}: pass a number of bits from 1 to {_MOST_BITS}.")
        _check_mode("DoReFa", mode)
        self.k_bit = self.precision = k_bit
        self.mode = mode

    @classmethod
    def for_kernel(cls, output_axes: int | tuple[int, ...]) -> DoReFa:
        """Makes the quantizer with the mode "weights"."""
        return cls(mode="weights")

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the k-bit values of x, of the same shape and dtype."""
        return dorefa(x, self.k_bit, self.mode)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"k_bit": self.k_bit, "mode": self.mode}
