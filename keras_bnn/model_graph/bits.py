"""How many bits a value between two layers has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_bnn.layers.quantize import Quantize
from keras_bnn.model_graph.graph import LayerCall

REAL_BITS = 32

# Layers whose every output, at inference, is one of their inputs' values (or a padding, which costs no bits).
_KEEP_VALUES = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Concatenate,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Identity,
    layers.Maximum,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.Minimum,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.UpSampling1D,
    layers.UpSampling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
)

# The ops of keras.ops that do likewise; their classes are not public.
_KEEP_VALUES_OPS = {
    *("Concatenate", "Copy", "ExpandDims", "Flip", "GetItem", "Hstack", "Max", "Maximum", "Min", "Minimum", "Moveaxis"),
    *("Pad", "Ravel", "Repeat", "Reshape", "Roll", "Split", "Squeeze", "Stack", "Swapaxes", "Take", "Tile"),
    *("Transpose", "Vstack"),
}


def keeps_values(call: LayerCall) -> bool:
    """Returns whether a call only moves and picks values: a sign before it is a sign behind it."""
    layer = call.layer
    if isinstance(layer, layers.UpSampling2D):
        return layer.interpolation == "nearest"
    if not isinstance(layer, layers.Layer):
        return type(layer).__name__ in _KEEP_VALUES_OPS
    if isinstance(layer, layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, _KEEP_VALUES)


def precision(quantizer: Any) -> int:
    """Returns the bits of what a quantizer returns; 32 for None and for a function that does not tell."""
    bits = getattr(quantizer, "precision", None)
    return bits if isinstance(bits, int) else REAL_BITS


def gives_signs(quantizer: Any) -> bool:
    """Returns whether a quantizer returns +1 and -1: one bit a value may also stand for 0 and 1."""
    if getattr(quantizer, "precision", None) != 1:
        return False
    if isinstance(quantizer, layers.Layer) and quantizer.weights:
        return True  # a sign with a threshold for each channel
    values = keras.ops.convert_to_numpy(quantizer(keras.ops.convert_to_tensor([-2.0, -0.25, 0.25, 2.0])))
    return set(values.tolist()) == {-1.0, 1.0}


def dtype_bits(dtype: str) -> int:
    """Returns the bits of a model's input: 8 for int8, uint8 and bool; any real number counts as float32."""
    return 8 if dtype in ("int8", "uint8", "bool") else REAL_BITS


def output_bits(call: LayerCall, input_bits: Sequence[int]) -> int:
    """Returns the bits of what a call computes, from the bits of what it reads."""
    layer = call.layer
    if isinstance(layer, Quantize):
        return precision(layer.quantizer)
    for quantizer in (layer, getattr(layer, "activation", None)):
        if isinstance(getattr(quantizer, "precision", None), int):
            return precision(quantizer)
    return max(input_bits, default=REAL_BITS) if keeps_values(call) else REAL_BITS
