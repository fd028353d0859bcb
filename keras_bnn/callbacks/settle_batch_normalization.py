"""Takes the moving statistics of batch normalizations anew, while the weights stand still."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

BATCH_SIZE = 256


def settle_batch_normalization(model: keras.Model, x: Any, batch_size: int = BATCH_SIZE) -> None:
    """Sets the moving statistics of all batch normalizations to those of `x` under the model's present weights.

    A latent weight near 0 changes its sign from one step to the next, which moves sums by whole inputs: the moving
    averages of a training lag behind the weights, and can cost a trained binary network most of its accuracy.

    The model runs over `x` once, as in inference (no dropout, no update of a weight), only that each batch
    normalization takes the batch's own statistics, as in training. Its moving mean and variance then become the mean
    and the variance of all values that came to it:

    `mean = sum(n_b * mean_b) / sum(n_b)`, `variance = sum(n_b * (variance_b + (mean_b - mean)^2)) / sum(n_b)`

    over the batches b of n_b values a channel, in float64. Other moving statistics, as the moving 1/std of a
    `ShiftBatchNormalization`, become their mean with the same weights. Frozen layers keep theirs.

    Args:
        model: A built model of any kind. Normalizations in nested models and layers are found.
        x: Inputs as for `model.predict`: an array, or a list, tuple or dict of arrays, which is cut into batches of
            equal size (give or take one). Or batches: a `keras.utils.PyDataset` or an iterable such as a
            `tf.data.Dataset`, of inputs or of tuples that start with inputs. Some thousand samples of the training
            data are enough as a rule.
        batch_size: Largest number of samples in a batch that is cut from arrays. Larger ones are closer to inference,
            where the layers before see no batches at all.

    Raises:
        ValueError: when the model has no batch normalization that could be settled, or x is empty.

    Example:

    >>> layer = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> settle_batch_normalization(model, np.array([[1.0], [2.0], [6.0]]))
    >>> layer.moving_mean.numpy().tolist()
    [3.0]
    """
    with ExitStack() as stack:
        stack.enter_context(_no_gradient())
        statistics = [stack.enter_context(_collected(layer)) for layer in _normalizations(model)]
        for batch in _batches(x, batch_size):
            model(batch, training=False)
        for each in statistics:
            each.finish()


class SettleBatchNormalization(keras.callbacks.Callback):
    """Calls `settle_batch_normalization` at the end of `fit`, and before each validation if wanted.

    Args:
        x: Inputs, see `settle_batch_normalization`.
        batch_size: Largest number of samples in a batch.
        before_validation: Whether to do it before each validation (or other evaluation) as well, so that the validation
            judges the model as it would be used. Training itself does not read the moving statistics.

    Raises:
        ValueError: at the start of fit, when the model has no batch normalization that could be settled.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), layers.BinaryDense(2), keras.layers.BatchNormalization()])
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((8, 3)), np.ones((8, 2))
    >>> history = model.fit(x, y, verbose=0, callbacks=[SettleBatchNormalization(x)])
    """

    def __init__(self, x: Any, batch_size: int = BATCH_SIZE, before_validation: bool = False) -> None:
        super().__init__()
        self.x = x
        self.batch_size = batch_size
        self.before_validation = before_validation

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses a model that has nothing to settle, before it is trained."""
        _normalizations(self.model)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Settles before an evaluation."""
        if self.before_validation:
            settle_batch_normalization(self.model, self.x, self.batch_size)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Settles the trained model."""
        settle_batch_normalization(self.model, self.x, self.batch_size)


def _normalizations(model: keras.Model) -> list[Any]:
    """The layers that keep moving statistics of their inputs and may change them."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if layer.trainable and hasattr(layer, "momentum") and getattr(layer, "moving_mean", None) is not None
    ]
    if not layers:
        raise ValueError(
            f"SettleBatchNormalization found no built, trainable batch normalization in '{model.name}': build the "
            "model, or leave this step out."
        )
    return layers


class _Statistics:
    """The statistics of one layer, summed over batches."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._before = [(variable, _float64(variable)) for variable in layer.non_trainable_variables]
        self._batches: list[tuple[float, dict[str, np.ndarray]]] = []

    def add(self, inputs: Any) -> None:
        """Takes the batch's statistics from the layer, which has just computed them."""
        count = math.prod(inputs.shape) / inputs.shape[self._layer.axis]
        moving = {v.name: _float64(v) for v, _ in self._before if v.name.startswith("moving_")}
        self._batches.append((count, moving))

    def finish(self) -> None:
        """Puts those of all batches into the layer."""
        if not self._batches:
            raise ValueError("SettleBatchNormalization got no batch of inputs: pass an x that is not empty.")
        counts, batches = zip(*self._batches, strict=True)
        mean = {name: np.average([b[name] for b in batches], axis=0, weights=counts) for name in batches[0]}
        if "moving_variance" in mean:
            deviations = [np.square(b["moving_mean"] - mean["moving_mean"]) for b in batches]
            mean["moving_variance"] += np.average(deviations, axis=0, weights=counts)
        self._before = [(variable, mean.get(variable.name, value)) for variable, value in self._before]

    def assign(self) -> None:
        """Sets the layer's variables: as they were, unless `finish` was reached."""
        for variable, value in self._before:
            variable.assign(value)


@contextmanager
def _collected(layer: Any) -> Iterator[_Statistics]:
    """Within it the layer normalizes by each batch's own statistics, and adds them up."""
    statistics, call, momentum = _Statistics(layer), layer.call, layer.momentum

    def call_in_training(inputs: Any, training: Any = None, **kwargs: Any) -> Any:
        outputs = call(inputs, training=True, **kwargs)
        statistics.add(inputs)
        return outputs

    layer.call = call_in_training
    layer.momentum = 0.0  # so that the moving statistics are the batch's
    try:
        yield statistics
    finally:
        del layer.call  # uncovers the method of its class
        layer.momentum = momentum
        statistics.assign()


def _batches(x: Any, batch_size: int) -> Iterator[Any]:
    """Yields the inputs of one batch after the other."""
    arrays = keras.tree.flatten(x)
    if all(hasattr(array, "shape") for array in arrays):
        samples = len(arrays[0])
        count = -(-samples // batch_size)
        for i in range(count):
            part = slice(samples * i // count, samples * (i + 1) // count)
            yield keras.tree.map_structure(lambda array, part=part: array[part], x)
    else:
        is_dataset = isinstance(x, keras.utils.PyDataset)
        for batch in (x[i] for i in range(len(x))) if is_dataset else x:
            yield keras.utils.unpack_x_y_sample_weight(batch)[0]


def _float64(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def _no_gradient() -> AbstractContextManager:
    """Torch keeps all activations for a gradient unless it is told that there will be none."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    return importlib.import_module("torch").no_grad()
