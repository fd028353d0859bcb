"""What all binary convolutions share: the value outside the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import KerasTensor, ops

from keras_bnn.layers.binary_layer import BinaryLayer


def same_padding(size: int | None, kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Returns how many pixels padding="same" puts before and after an axis.

    `total = max((ceil(size / stride) - 1) * stride + (kernel_size - 1) * dilation + 1 - size, 0)`, the smaller half of
    it before: TensorFlow's rule. With stride 1 the size does not matter.

    Args:
        size: Size of the input's axis in pixels, or None where it is not known and stride is 1.
        kernel_size: Taps of the kernel along this axis.
        stride: Step of the output, in pixels.
        dilation: Distance of neighbouring taps, in pixels.

    Raises:
        ValueError: when size is None and stride is not 1.

    Example:

    >>> same_padding(size=28, kernel_size=3, stride=2, dilation=1)
    (0, 1)
    """
    reach = (kernel_size - 1) * dilation
    if stride == 1:
        total = reach
    elif size is None:
        raise ValueError(f"same_padding got size=None with stride={stride}: pass the size, or stride=1.")
    else:
        total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
    return total // 2, total - total // 2


class BinaryConv(BinaryLayer):
    """Mixin for a Keras convolution: quantized inputs and kernel, and a choice of the value outside the image.

    Args:
        *args: Positional arguments of the Keras layer.
        pad_value: 0, 1 or -1, the value outside the image when padding="same".
        **kwargs: Keyword arguments of `BinaryLayer` and of the Keras layer.

    Raises:
        ValueError: when pad_value is another value, or data_format is "channels_first".
    """

    def __init__(self, *args: Any, pad_value: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = type(self).__name__
        if pad_value not in (0, 1, -1):
            raise ValueError(f"{name} got pad_value={pad_value!r}: pass 0, 1 or -1.")
        if self.data_format != "channels_last":
            raise ValueError(
                f"{name} got data_format='{self.data_format}': pass data_format='channels_last' and images of shape "
                "(batch, height, width, channels), which is what packed kernels read."
            )
        self.pad_value = int(pad_value)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the kernel; refuses at once an image size that the padding could not be computed from."""
        super().build(input_shape)
        if self._pads_by_sign:
            self._same_padding(input_shape)

    def convolution_op(self, inputs: KerasTensor, kernel: Any) -> KerasTensor:
        """Returns the convolution of the quantized inputs with the quantized kernel."""
        inputs = self.quantized_inputs(inputs)
        if self._pads_by_sign:
            pad_width = [(0, 0), *self._same_padding(inputs.shape), (0, 0)]
            inputs = ops.pad(inputs, pad_width, constant_values=self.pad_value)
        return ops.conv(
            inputs,
            self.quantized_kernel(kernel),
            strides=list(self.strides),
            padding="valid" if self._pads_by_sign else self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    @property
    def _pads_by_sign(self) -> bool:
        return self.padding == "same" and self.pad_value != 0

    def _same_padding(self, input_shape: Sequence[int | None]) -> list[tuple[int, int]]:
        axes = list(zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True))
        if any(size is None and stride > 1 for size, _, stride, _ in axes):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' got an input of shape {tuple(input_shape)}: with "
                f"pad_value={self.pad_value} and strides={self.strides} the image size must be known, so give the "
                "model's Input a height and a width, or pass pad_value=0."
            )
        return [same_padding(*axis) for axis in axes]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "pad_value": self.pad_value}
