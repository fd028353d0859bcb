"""How many binary weights change from one update to the next."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_bnn.weights.binary_kernels import binary_kernels


class FlipRatio(keras.metrics.Metric):
    """The share of a model's binary weights that changed their sign in an update, averaged over the updates.

    `flip_ratio = mean over updates t of count(sign(q(w_t)) != sign(q(w_{t-1}))) / count(w)`

    with the latent weights w and their quantizer q; over all binary kernels together, larger ones counting more. A
    latent weight that moves without crossing 0 flips nothing. A ratio that falls to 0 early tells that the learning
    rate is too small, one that stays high that training does not settle.

    In `fit`, use `keras_bnn.callbacks.FlipRatioLogger`. This metric is for training loops of one's own: call
    `update_state()` after each update, where variables have their values (on JAX outside of compiled functions, after
    the new values are assigned). It does not go into `compile(metrics=...)`: there JAX hides the weights, and
    evaluations would count as updates.

    It keeps the last signs, one byte a weight: a quarter of the float32 latent weights. `reset_state` sets the average
    back but keeps the signs, so that the first update of an epoch is compared with the last one before it.

    Args:
        model: A built model or layer with binary kernels.
        per_kernel: Whether `result` is a dict with a ratio of each kernel, too.
        name: Name of the metric, and the key of the total in the dict.
        dtype: Data type of the ratios.

    Raises:
        ValueError: when the model is not built or has no binary kernel.

    Example:

    >>> layer = layers.BinaryDense(2, kernel_initializer="ones")
    >>> layer.build((None, 2))
    >>> flip_ratio = FlipRatio(layer)
    >>> layer.set_weights([np.array([[0.5, -0.5], [-0.0, 1.0]])])
    >>> flip_ratio.update_state()
    >>> float(flip_ratio.result())
    0.25
    """

    def __init__(
        self, model: keras.layers.Layer, per_kernel: bool = False, name: str = "flip_ratio", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        kernels = binary_kernels(model)
        if not kernels:
            raise ValueError(
                f"FlipRatio got '{model.name}', which has no binary kernel: pass a model with binary layers whose "
                "kernel_quantizer is not None."
            )
        self.per_kernel = per_kernel
        self._paths = list(kernels)
        # A function, since a metric takes the variables among its attributes for its own.
        self._latent = lambda: [variable.value for variable, _ in kernels.values()]
        self._compare = [_comparison(quantizer) for _, quantizer in kernels.values()]
        # All replicas of a distributed model have the same weights: one of them is enough.
        add = functools.partial(self.add_variable, initializer="zeros", aggregation="only_first_replica")
        self._last_signs = [add(variable.shape, dtype="int8", name="signs") for variable, _ in kernels.values()]
        self._ratios = add((len(kernels),), name="ratios")
        self._updates = add((), name="updates")
        self._flips()

    def _flips(self) -> list[KerasTensor]:
        """Counts the signs of each kernel that differ from the last ones, and puts the new ones in their place."""
        counts = []
        for latent, compare, last in zip(self._latent(), self._compare, self._last_signs, strict=True):
            signs, count = compare(ops.stop_gradient(latent), last.value)
            last.assign(signs)
            counts.append(count)
        return counts

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Compares the kernels with those of the call before (or with the first ones); takes no arguments.

        Raises:
            TypeError: when it gets arguments, as in `compile(metrics=[FlipRatio(model)])`.
        """
        if args or kwargs:
            raise TypeError(
                "FlipRatio.update_state got arguments, probably from compile(metrics=[FlipRatio(...)]): pass "
                "callbacks=[keras_bnn.callbacks.FlipRatioLogger()] to fit instead."
            )
        sizes = [math.prod(last.shape) for last in self._last_signs]
        ratios = [ops.cast(count, self.dtype) / size for count, size in zip(self._flips(), sizes, strict=True)]
        self._ratios.assign_add(ops.stack(ratios))
        self._updates.assign_add(1)

    def result(self) -> Any:
        """Returns the ratio of all binary weights, or a dict with it and that of each kernel."""
        ratios = self._ratios / ops.maximum(self._updates, 1)
        sizes = [math.prod(last.shape) for last in self._last_signs]
        total = ops.sum(ratios * ops.convert_to_tensor(sizes, dtype=self.dtype)) / sum(sizes)
        if not self.per_kernel:
            return total
        return {self.name: total, **{f"{self.name}/{path}": ratios[i] for i, path in enumerate(self._paths)}}

    def reset_state(self) -> None:
        """Starts a new average; the next update is still compared with the last one."""
        self._ratios.assign(ops.zeros(self._ratios.shape))
        self._updates.assign(0)


def _comparison(quantizer: Callable[[Any], Any]) -> Callable[[KerasTensor, KerasTensor], Any]:
    """Returns a function of a kernel and its last signs, which returns the new signs and how many differ."""

    def compare(kernel: KerasTensor, last: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        signs = ops.cast(ops.sign(quantizer(kernel)), "int8")
        return signs, ops.sum(ops.cast(ops.not_equal(signs, last), "int32"))

    # JAX takes several times as long op by op. A quantizer with variables would be compiled with their present values.
    if keras.backend.backend() == "jax" and not isinstance(quantizer, keras.layers.Layer):
        return importlib.import_module("jax").jit(compare)
    return compare
