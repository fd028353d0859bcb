"""The weights that a binary model computes with, next to the latent weights that it trains."""

from __future__ import annotations

from keras_bnn.weights.binary_kernels import binary_kernels
from keras_bnn.weights.binary_weights import binary_weights, set_binary_weights
from keras_bnn.weights.quantized_scope import quantized_scope

__all__ = ["binary_kernels", "binary_weights", "quantized_scope", "set_binary_weights"]
