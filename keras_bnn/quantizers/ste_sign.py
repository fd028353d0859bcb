"""The sign with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer


def ste_sign(x: KerasTensor, clip_value: float = 1.0) -> KerasTensor:
    """Sign of x, with the straight-through estimator as its gradient.

    Forward (arXiv:1602.02830, eq. 1): `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`, the derivative of a clip to
    [-clip_value, clip_value].

    Args:
        x: Tensor of any shape and float dtype, or the variable of a kernel.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.

    Returns:
        A tensor of +1 and -1, with the shape and the dtype of x.

    Example:

    >>> keras.ops.convert_to_numpy(ste_sign(np.array([-2.0, -0.5, -0.0, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0]
    """
    # The TFLite converter keeps a sign as one comparison and one select when the select's values are scalars: right for
    # activations. In a kernel the same select should fold into a constant, but the converter folds an op only when that
    # does not blow its operands up: the select's values need the kernel's size. Only kernels arrive as variables.
    is_kernel = isinstance(x, keras.Variable)
    x = ops.cast(x, x.dtype)  # reads a variable: a custom gradient takes tensors only
    one = ops.ones_like(x) if is_kernel else 1.0

    @ops.custom_gradient
    def sign(x: KerasTensor) -> tuple[KerasTensor, Any]:
        def gradient(*args: KerasTensor, upstream: KerasTensor | None = None) -> KerasTensor:
            # torch passes the output's gradient by name, TensorFlow and JAX by position.
            dy = args[0] if upstream is None else upstream
            return ops.where(ops.abs(x) <= clip_value, dy, ops.zeros_like(dy))

        # x < 0 rather than x >= 0: a packed bit is `x < 0`, so a NaN is +1 here as it is there.
        return ops.cast(ops.where(x < 0, -one, one), x.dtype), gradient

    return sign(x)


@keras.saving.register_keras_serializable(package="keras_bnn")
class SteSign(Quantizer):
    """The quantizer "ste_sign": sign with a straight-through gradient.

    Forward (arXiv:1602.02830, eq. 1): `y = -1 if x < 0 else +1`. So 0.0, -0.0 and NaN give +1.

    Backward (eq. 4): `dx = dy if abs(x) <= clip_value else 0`.

    Args:
        clip_value: Positive float, 1.0 as in the paper. The gradient is cancelled where abs(x) is larger. A kernel
            should have the same value in its `WeightClip` constraint.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> keras.ops.convert_to_numpy(SteSign()(np.array([-2.0, -0.5, 0.0, 0.5]))).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """

    def __init__(self, clip_value: float = 1.0) -> None:
        if not clip_value > 0:
            raise ValueError(f"SteSign got clip_value={clip_value!r}: pass a number above 0, for example 1.0.")
        self.clip_value = float(clip_value)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the sign of x, of the same shape and dtype."""
        return ste_sign(x, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value}
