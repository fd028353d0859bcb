"""The value outside the image."""

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


class PaddedLayer(BinaryLayer):
    """Mixin for a Keras convolution: a choice of the value outside the image.

    The subclass convolves `padded(inputs)` with the padding `remaining_padding`.

    Args:
        *args: Positional arguments of the Keras layer.
        pad_value: 0, 1 or -1, the value outside the image unless padding="valid".
        **kwargs: Keyword arguments of `BinaryLayer` and of the Keras layer.

    Raises:
        ValueError: when pad_value is another value.
    """

    def __init__(self, *args: Any, pad_value: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if pad_value not in (0, 1, -1):
            raise ValueError(f"{type(self).__name__} got pad_value={pad_value!r}: pass 0, 1 or -1.")
        self.pad_value = int(pad_value)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the variables; refuses at once an image size that the padding could not be computed from."""
        super().build(input_shape)
        if self._pads_itself:
            self._pads(input_shape)

    def padded(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the quantized inputs, surrounded by pad_value where the convolution cannot do it."""
        if not self._pads_itself:
            return inputs
        return ops.pad(inputs, [(0, 0), *self._pads(inputs.shape), (0, 0)], constant_values=self.pad_value)

    @property
    def remaining_padding(self) -> str:
        """The padding that the convolution of the padded inputs still needs."""
        return "valid" if self._pads_itself else self.padding

    @property
    def _pads_itself(self) -> bool:
        return self.padding == "causal" or (self.padding == "same" and self.pad_value != 0)

    def _pads(self, input_shape: Sequence[int | None]) -> list[tuple[int, int]]:
        axes = list(zip(input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate, strict=True))
        if self.padding == "causal":
            return [((kernel_size - 1) * dilation, 0) for _, kernel_size, _, dilation in axes]
        if any(size is None and stride > 1 for size, _, stride, _ in axes):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' got an input of shape {tuple(input_shape)}: with "
                f"pad_value={self.pad_value} and strides={self.strides} the image size must be known, so give the "
                "model's Input all sizes, or pass pad_value=0."
            )
        return [same_padding(*axis) for axis in axes]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "pad_value": self.pad_value}
