"""The sign of a kernel, scaled by the mean magnitude of each output channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.quantizers.quantizer import Quantizer
from keras_bnn.quantizers.ste_sign import ste_sign
from keras_bnn.quantizers.surrogate import checked_clip_value


def magnitude_aware_sign(x: KerasTensor, clip_value: float = 1.0, axis: int | Sequence[int] = -1) -> KerasTensor:
    """Sign of the kernel x, times the mean magnitude of each output channel.

    Forward (Bi-Real Net, arXiv:1808.00278, section 3.3): `y = scale * (-1 if x < 0 else +1)` with
    `scale = mean(abs(x))` over all axes except `axis`.

    Backward: `dx = dy * scale if abs(x) <= clip_value else 0`; none goes through the scale.

    Args:
        x: Tensor of float dtype, or the variable of a kernel.
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger.
        axis: The axis, or the axes, of x that count output channels, see `MagnitudeAwareSign`.

    Returns:
        A tensor of +scale and -scale, with the shape and the dtype of x.

    Example:

    >>> kernel = np.array([[1.0, -0.5], [-3.0, 0.0]])
    >>> keras.ops.convert_to_numpy(magnitude_aware_sign(kernel)).tolist()
    [[2.0, -0.25], [-2.0, 0.25]]
    """
    signs = ste_sign(x, clip_value)
    rank = len(x.shape)
    channel_axes = {a % rank for a in ([axis] if isinstance(axis, int) else axis)}
    # In float32 at least: float16 cannot add up the elements of a kernel.
    magnitude = ops.abs(ops.cast(x, keras.backend.result_type(x.dtype, "float32")))
    scale = ops.mean(magnitude, axis=[a for a in range(rank) if a not in channel_axes], keepdims=True)
    return signs * ops.stop_gradient(ops.cast(scale, signs.dtype))


@keras.saving.register_keras_serializable(package="keras_bnn")
class MagnitudeAwareSign(Quantizer):
    """The quantizer "magnitude_aware_sign": sign times the mean magnitude of each output channel, for kernels.

    Forward (Bi-Real Net, arXiv:1808.00278, section 3.3): `y = scale * (-1 if x < 0 else +1)` with
    `scale = mean(abs(x))` over all axes except `axis`.

    Backward: `dx = dy * scale if abs(x) <= clip_value else 0`; none goes through the scale.

    A packed kernel has 1 bit a weight all the same: one scale per output channel goes into the multiplier that the
    packed op has anyway. `axis` says which axes of the kernel count output channels; a layer whose `kernel_quantizer`
    is the name "magnitude_aware_sign" chooses them by itself:

    | layer | kernel | axis |
    | --- | --- | --- |
    | dense, convolutions | `(..., channels, filters)` | -1, the default |
    | depthwise convolution | `(height, width, channels, depth_multiplier)` | (-2, -1) |
    | transposed convolution | `(height, width, filters, channels)` | -2 |

    Args:
        clip_value: Positive float. The gradient is cancelled where abs(x) is larger. A kernel should have the same
            value in its `WeightClip` constraint.
        axis: An int or several.

    Raises:
        ValueError: when clip_value is not positive.

    Example:

    >>> kernel = np.array([[1.0, -0.5], [-3.0, 0.0]])
    >>> keras.ops.convert_to_numpy(MagnitudeAwareSign()(kernel)).tolist()
    [[2.0, -0.25], [-2.0, 0.25]]
    """

    precision = 1

    def __init__(self, clip_value: float = 1.0, axis: int | Sequence[int] = -1) -> None:
        self.clip_value = self.gradient_reach = checked_clip_value("MagnitudeAwareSign", clip_value)
        self.axis = tuple(map(int, axis)) if isinstance(axis, Sequence) else int(axis)

    @classmethod
    def for_kernel(cls, output_axes: int | tuple[int, ...]) -> MagnitudeAwareSign:
        """Makes the quantizer with a scale for each output channel of the layer."""
        return cls(axis=output_axes)

    def __call__(self, x: KerasTensor) -> KerasTensor:
        """Returns the scaled sign of x, of the same shape and dtype."""
        return magnitude_aware_sign(x, self.clip_value, self.axis)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value, "axis": self.axis}
