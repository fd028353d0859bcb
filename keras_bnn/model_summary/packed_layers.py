"""What the converter makes of single layers: which it packs, and what their ops take up."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.quantize import Quantize
from keras_bnn.layers.rprelu import RPReLU
from keras_bnn.model_graph import gives_signs, precision
from keras_bnn.model_summary.packed_constants import NORMALIZATIONS, SLOPES, Array, array, normalization_form, words_for

RESHAPES = (layers.Flatten, layers.Reshape)
POOLS = (layers.MaxPooling1D, layers.MaxPooling2D)
_PACKED = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D)
_READ_BITS_ALONE = (layers.DepthwiseConv2D, layers.Conv2DTranspose, layers.SeparableConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose)
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D, *_TRANSPOSED)
BIAS_IS_OPTIONAL = (layers.Dense, *_TRANSPOSED)
FUSED_ACTIVATIONS = (keras.activations.relu, keras.activations.relu6)


def packable_roles(layer: Any) -> list[str]:
    """Returns the kernels of a layer that have a packed op: +scale and -scale in each output channel."""
    if not isinstance(layer, BinaryLayer) or not isinstance(layer, (*_PACKED, layers.SeparableConv2D)):
        return []
    return [role for role in layer.KERNELS if _is_binary(layer, role)]


def _is_binary(layer: Any, role: str) -> bool:
    if not layer.built or precision(getattr(layer, f"{role}_quantizer")) != 1:
        return False
    magnitudes = np.abs(kernel_rows(layer, role))
    return bool(np.all(magnitudes == magnitudes[0]) and np.all(magnitudes > 0))


def kernel_rows(layer: Any, role: str) -> Array:
    """Returns the weights of each output channel of a quantized kernel, `[weights, channels]`."""
    kernel = keras.ops.convert_to_numpy(layer.quantized_kernel(role))
    axes = np.atleast_1d(layer.OUTPUT_AXES[role]) % kernel.ndim
    channels = np.prod([kernel.shape[axis] for axis in axes])
    return np.moveaxis(kernel, axes, range(-len(axes), 0)).reshape(-1, channels)


def shows_signs(layer: Any, role: str) -> bool:
    """Returns whether a kernel alone tells that it is binary, and has a packed op for any inputs."""
    if role == next(iter(layer.KERNELS)) and isinstance(layer, _READ_BITS_ALONE):
        return False
    rows = kernel_rows(layer, role)
    return len(rows) > 1 and bool((rows < 0).any() and (rows > 0).any())


def kernel_words(layer: Any, role: str, pixels: int = 1) -> int:
    """Returns the words of a packed kernel; pixels is how many a dense layer's inputs are, each in words of its own."""
    shape = getattr(layer, layer.KERNELS[role]).shape
    if isinstance(layer, layers.Dense):
        return shape[1] * pixels * words_for(shape[0] // pixels)
    *taps, channels, filters = shape
    if role == "depthwise":
        return int(np.prod(taps)) * words_for(channels * filters)
    if isinstance(layer, layers.Conv2DTranspose):
        channels, filters = filters, channels
    return int(np.prod(taps)) * filters * words_for(channels)


def kernel_variables(layer: Any) -> list[Any]:
    """Returns the kernels of a convolution or dense layer, the last one last; none of other layers."""
    if isinstance(layer, SEPARABLE):
        return [layer.depthwise_kernel, layer.pointwise_kernel]
    return [layer.kernel] if isinstance(layer, (layers.Dense, *_CONVOLUTIONS)) else []


def kernel_roles(layer: Any) -> list[str]:
    """Returns the roles of a binary layer's kernels, in the order of `kernel_variables`; none of other layers."""
    return list(layer.KERNELS) if isinstance(layer, BinaryLayer) else []


def first_quantizer(layer: Any) -> Any:
    """Returns the quantizer through which a layer reads its input; the layer itself where it has none."""
    return layer.quantizer if isinstance(layer, Quantize) else getattr(layer, "input_quantizer", layer)


def last_quantizer(layer: Any) -> Any:
    """Returns the quantizer from which a layer's output comes; the layer itself where it has none."""
    return layer.quantizer if isinstance(layer, Quantize) else getattr(layer, "activation", layer)


def quantizer_weights(layer: Any) -> list[Any]:
    """Returns the weights of the quantizer through which a layer reads its input."""
    quantizer = first_quantizer(layer)
    is_quantizer = isinstance(quantizer, layers.Layer) and isinstance(getattr(quantizer, "precision", None), int)
    return list(quantizer.weights) if is_quantizer else []


def sign_thresholds(layer: Any) -> list[Array]:
    """Returns the thresholds of the sign through which a layer reads its input; thresholds of 0 are no constant."""
    weights = [array(weight) for weight in quantizer_weights(layer)] if gives_signs(first_quantizer(layer)) else []
    return [values for values in weights if values.any()]


def is_dilated(layer: Any) -> bool:
    """Returns whether the stock converter puts other ops around the last convolution, which then fuses nothing."""
    return not isinstance(layer, SEPARABLE) and any(rate > 1 for rate in getattr(layer, "dilation_rate", ()))


def has_plain_sums(layer: Any, role: str) -> bool:
    """Returns whether a binary layer computes sums of +1 and -1: no scale and no bias stand before an activation."""
    if layer.use_bias and array(layer.bias).any():
        return False
    return bool(np.all(np.abs(kernel_rows(layer, role)[0]) == 1))


def is_fused_activation(layer: Any) -> bool:
    """Returns whether a layer is an activation that packed ops compute themselves."""
    if isinstance(layer, layers.ReLU):
        return not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
    return isinstance(layer, layers.Activation) and layer.activation in FUSED_ACTIVATIONS


def is_step(layer: Any) -> bool:
    """Returns whether a layer computes each element from the one before and constants, as steps of packed ops do."""
    return isinstance(layer, (*NORMALIZATIONS, *SLOPES)) or is_fused_activation(layer)


def is_sum_or_product(layer: Any) -> bool:
    """Returns whether a layer or an op of `keras.ops` adds or multiplies tensors."""
    return isinstance(layer, (layers.Add, layers.Multiply)) or type(layer).__name__ in ("Add", "Multiply")


def turns_channels(normalization: Any) -> bool:
    """Returns whether a normalization has a negative factor, with which it cannot move in front of a max-pool."""
    return bool((normalization_form(normalization)[0] < 0).any())


def moves_zero(layer: Any) -> bool:
    """Returns whether what a layer computes of its inputs may have another sign than they have."""
    if is_fused_activation(layer) or sign_thresholds(layer):
        return True
    if isinstance(layer, RPReLU):
        return bool(array(layer.input_shift).any() or array(layer.output_shift).any())
    return isinstance(layer, NORMALIZATIONS) and bool(normalization_form(layer)[1].any())
