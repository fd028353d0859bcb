"""The constraint that keeps latent weights within reach of the sign's gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import KerasTensor, ops


def checked_clip_value(clip_value: float | str, owner: str) -> float | Literal["glorot"]:
    """Returns clip_value as a float, or "glorot"; `owner` is the class that the error message names.

    Raises:
        ValueError: when clip_value is neither a positive number nor "glorot".
    """
    if isinstance(clip_value, str):
        if clip_value == "glorot":
            return "glorot"
    elif clip_value is not None and clip_value > 0:
        return float(clip_value)
    raise ValueError(f"{owner} got clip_value={clip_value!r}: pass a number above 0, for example 1.0, or 'glorot'.")


def glorot_clip_value(shape: Sequence[int]) -> float:
    """Returns `sqrt(1.5 / (fan_in + fan_out))` for a kernel, half the limit of Keras's `GlorotUniform`.

    Args:
        shape: Shape of the kernel, `(..., fan_in's channels, fan_out's channels)`. The fans are counted as Keras's
            initializers do: the last two axes, each times the taps (the product of all other axes).

    Raises:
        ValueError: when the shape has fewer than two axes.

    Example:

    >>> glorot_clip_value((2, 4)), glorot_clip_value((3, 3, 2, 4))
    (0.5, 0.16666666666666666)
    """
    if len(shape) < 2:
        raise ValueError(
            f"The clip value 'glorot' got a variable of shape {tuple(shape)}: it needs a kernel, with an axis of input "
            "channels and one of output channels; pass a number instead."
        )
    *taps, channels_in, channels_out = shape
    return math.sqrt(1.5 / (math.prod(taps) * (channels_in + channels_out)))


@keras.saving.register_keras_serializable(package="keras_bnn")
class WeightClip(keras.constraints.Constraint):
    """The constraint "weight_clip": clips latent weights after every update.

    `w = min(max(w, -clip_value), clip_value)`

    Without it latent weights grow where no gradient reaches them (`ste_sign` cancels the gradient beyond its
    clip_value), although only their sign counts (arXiv:1602.02830, section 1.3 and algorithm 1).

    With clip_value="glorot" the clip value of each kernel is `c = sqrt(1.5 / (fan_in + fan_out))`. This is the weight
    learning rate scaling of the paper's experiments. They keep latent weights in [-1, 1] and multiply the step of each
    kernel by 1 / c:

    `w = clip(w - learning_rate / c * step, -1, 1)`

    With v = c * w the same training reads

    `v = clip(v - learning_rate * step, -c, c)`

    Both have the same signs, so the same outputs, and the same gradients, since the gradient of a sign passes whole
    wherever `abs(w) <= 1`, and c < 1. A step that depends on the gradients alone is then the same too: SGD's, Adam's
    and `ShiftAdaMax`'s, but not with weight decay or a regularizer of the kernel. So clipping to c takes the place of a
    learning rate per kernel, given that the start is scaled as well: use `keras_bnn.initializers.WeightClipUniform`
    with the same clip_value. Keras's "glorot_uniform" draws from [-2c, 2c], of which the first update would put half
    onto the bounds.

    The fans are those of Keras's initializers, which know a kernel by its shape alone. A depthwise kernel
    `(height, width, channels, depth_multiplier)` thus counts as one that joins all channels, which makes its steps
    larger in proportion than those of a full convolution; pass a number where that is not wanted.

    Args:
        clip_value: Positive float, 1.0 as in the paper, or "glorot". At most the clip_value of the kernel's quantizer,
            beyond which latent weights get no gradient.

    Raises:
        ValueError: when clip_value is neither positive nor "glorot", or "glorot" meets a variable with fewer than two
            axes.

    Example:

    >>> w = np.array([[-3.0, -0.5, 0.25, 1.5], [0.0, 0.5, 0.75, 1.0]])
    >>> keras.ops.convert_to_numpy(WeightClip()(w))[0].tolist()
    [-1.0, -0.5, 0.25, 1.0]
    >>> keras.ops.convert_to_numpy(WeightClip("glorot")(w))[0].tolist()
    [-0.5, -0.5, 0.25, 0.5]
    """

    def __init__(self, clip_value: float | Literal["glorot"] = 1.0) -> None:
        self.clip_value = checked_clip_value(clip_value, type(self).__name__)

    def __call__(self, w: KerasTensor) -> KerasTensor:
        """Returns the clipped w."""
        bound = self.bound(w.shape)
        return ops.clip(w, -bound, bound)

    def bound(self, shape: Sequence[int]) -> float:
        """Returns what latent weights of this shape are clipped to."""
        return glorot_clip_value(shape) if self.clip_value == "glorot" else self.clip_value

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"clip_value": self.clip_value}
