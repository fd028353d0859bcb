"""What the converter makes of single layers: which it packs, and what their ops take up."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.quantize import Quantize
from keras_bnn.layers.shift_batch_normalization import ShiftBatchNormalization
from keras_bnn.model_graph import precision

NORMALIZATIONS = (layers.BatchNormalization, ShiftBatchNormalization)
RESHAPES = (layers.Flatten, layers.Reshape)
_PACKED = (layers.Dense, layers.Conv1D, layers.Conv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose)
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D, *_TRANSPOSED)
BIAS_IS_OPTIONAL = (layers.Dense, *_TRANSPOSED)
FUSED_ACTIVATIONS = (keras.activations.relu, keras.activations.relu6)


def is_packable(layer: Any) -> bool:
    """Returns whether a packed op reads the layer's input: its kernel is +scale and -scale in each output channel."""
    return isinstance(layer, BinaryLayer) and isinstance(layer, _PACKED) and _is_binary(layer, "kernel")


def packs_pointwise(layer: Any) -> bool:
    """Returns whether the second half of a separable convolution becomes a packed op with real-valued input."""
    is_separable = isinstance(layer, BinaryLayer) and isinstance(layer, layers.SeparableConv2D)
    return is_separable and _is_binary(layer, "pointwise")


def _is_binary(layer: Any, role: str) -> bool:
    quantizer = getattr(layer, f"{role}_quantizer")
    if not layer.built or precision(quantizer) != 1:
        return False
    magnitudes = np.abs(keras.ops.convert_to_numpy(layer.quantized_kernel(role)))
    return bool(np.all(magnitudes == magnitudes[(0,) * (magnitudes.ndim - 1)]) and np.all(magnitudes > 0))


def shows_signs(layer: Any) -> bool:
    """Returns whether the kernel alone tells that it is binary: several weights a channel, of both signs."""
    kernel = keras.ops.convert_to_numpy(layer.quantized_kernel())
    return kernel.size > kernel.shape[-1] and bool((kernel < 0).any() and (kernel > 0).any())


def last_kernel(layer: Any) -> Any:
    """Returns the kernel of a convolution or dense layer that its outputs come from, or None."""
    if isinstance(layer, SEPARABLE):
        return layer.pointwise_kernel
    return layer.kernel if isinstance(layer, (layers.Dense, *_CONVOLUTIONS)) else None


def first_quantizer(layer: Any) -> Any:
    """Returns the quantizer through which a layer reads its input; the layer itself where it has none."""
    return layer.quantizer if isinstance(layer, Quantize) else getattr(layer, "input_quantizer", layer)


def last_quantizer(layer: Any) -> Any:
    """Returns the quantizer from which a layer's output comes; the layer itself where it has none."""
    return layer.quantizer if isinstance(layer, Quantize) else getattr(layer, "activation", layer)


def count_thresholds(layer: Any) -> int:
    """Returns the number of weights of the quantizer through which a layer reads its input."""
    quantizer = first_quantizer(layer)
    is_quantizer = isinstance(quantizer, layers.Layer) and isinstance(getattr(quantizer, "precision", None), int)
    return sum(math.prod(w.shape) for w in quantizer.weights) if is_quantizer else 0


def is_dilated(layer: Any) -> bool:
    """Returns whether the stock converter puts other ops around the last convolution, which then fuses nothing."""
    return not isinstance(layer, SEPARABLE) and any(rate > 1 for rate in getattr(layer, "dilation_rate", ()))


def has_plain_sums(layer: Any) -> bool:
    """Returns whether a binary layer computes sums of +1 and -1: no scale and no bias stand before an activation."""
    if layer.use_bias and np.any(keras.ops.convert_to_numpy(layer.bias)):
        return False
    return bool(np.all(np.abs(keras.ops.convert_to_numpy(layer.quantized_kernel())) == 1))


def is_fused_activation(layer: Any) -> bool:
    """Returns whether a layer is an activation that packed ops compute themselves."""
    if isinstance(layer, layers.ReLU):
        return not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
    return isinstance(layer, layers.Activation) and layer.activation in FUSED_ACTIVATIONS


def turns_channels(normalization: Any) -> bool:
    """Returns whether a batch normalization has a negative factor, with which it cannot move in front of a max-pool."""
    return normalization.scale and bool(np.any(keras.ops.convert_to_numpy(normalization.gamma) < 0))
