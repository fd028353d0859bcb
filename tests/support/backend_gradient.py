"""The gradient of a Keras computation, on whichever backend this process runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """Return d sum(function(x)) / dx."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            total = tf.reduce_sum(function(tensor))
        return np.asarray(tape.gradient(total, tensor))
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda t: function(t).sum())(x))
    if backend == "torch":
        import torch

        leaf = torch.tensor(x, requires_grad=True)
        function(leaf).sum().backward()
        assert leaf.grad is not None
        return leaf.grad.numpy()
    raise NotImplementedError(f"No gradient for the backend {backend!r}: add it here.")
