"""The gradient of a Keras computation, on whichever backend this process runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def gradient(function: Callable[[Any], Any], x: np.ndarray, upstream: np.ndarray | float = 1.0) -> np.ndarray:
    """Return d sum(upstream * function(x)) / dx; the function keeps float32."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            y = function(tensor)
        return np.asarray(tape.gradient(y, tensor, np.broadcast_to(np.float32(upstream), y.shape)))
    if backend == "jax":
        import jax

        y, backward = jax.vjp(function, x)
        return np.asarray(*backward(np.broadcast_to(np.float32(upstream), y.shape)))
    if backend == "torch":
        import torch

        leaf = torch.tensor(x, requires_grad=True)
        y = function(leaf)
        y.backward(torch.tensor(np.broadcast_to(np.float32(upstream), y.shape).copy()))
        assert leaf.grad is not None
        return leaf.grad.numpy()
    raise NotImplementedError(f"No gradient for the backend {backend!r}: add it here.")
