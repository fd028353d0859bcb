"""What the options of a stock op with a kernel become in its packed op."""

from __future__ import annotations

from ..custom_ops import SAME
from ..graph import Op, Tensor
from ..patterns import Kernel
from .base import Refusal


def kernel_options(op: Op, x: Tensor, kernel: Kernel) -> dict[str, int] | Refusal:
    """Returns the options of the packed op, without activations.

    Args:
        op: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED or TRANSPOSE_CONV.
        x: What it convolves or multiplies.
        kernel: Its binary kernel.
    """
    if not op.output.dims:
        return Refusal("the number of dimensions of its output is not known")
    if x.dims[-1] < 0:
        return Refusal("the number of its input channels is not known")
    if op.kind == "CONV_2D":
        channels = kernel.negative.shape[3]
        if x.dims[-1] % channels:
            return Refusal("the number of its input channels is not known")
        return {"channels_in": x.dims[-1], "groups": x.dims[-1] // channels, **_window(op)}
    if op.kind == "DEPTHWISE_CONV_2D":
        if len(kernel.scale) % x.dims[-1]:
            return Refusal("the number of its output channels is no multiple of that of its input channels")
        return {"channels_in": x.dims[-1], **_window(op)}
    if op.kind == "TRANSPOSE_CONV":
        return _transpose_options(op, x, kernel)
    return {"channels_in": kernel.negative.shape[1]}


def _window(op: Op) -> dict[str, int]:
    options = op.options
    return {
        "stride_h": options.strideH,
        "stride_w": options.strideW,
        "dilation_h": options.dilationHFactor,
        "dilation_w": options.dilationWFactor,
        "padding": options.padding,
    }


def _transpose_options(op: Op, x: Tensor, kernel: Kernel) -> dict[str, int] | Refusal:
    """What SAME pads depends on the sizes of the images, so these must be known."""
    options = {"channels_in": x.dims[-1], "stride_h": op.options.strideH, "stride_w": op.options.strideW}
    for axis, (letter, before, after) in enumerate((("h", "top", "bottom"), ("w", "left", "right"))):
        length, outputs, stride = x.dims[1 + axis], op.output.dims[1 + axis], options[f"stride_{letter}"]
        if length < 0 or outputs < 0:
            return Refusal("the size of its images is not known", "fix the size of the model's input image")
        surplus = (length - 1) * stride + kernel.negative.shape[1 + axis] - outputs
        first = max(surplus, 0) // 2 if op.options.padding == SAME else 0
        if surplus > 0 and op.options.padding != SAME:
            return Refusal("its output is cut off, and runtimes do not agree where")
        if surplus - first < 1 - stride:
            return Refusal("its output goes on behind the last pixel that its kernel reaches")
        options |= {f"pad_{before}": first, f"pad_{after}": surplus - first}
    return options
