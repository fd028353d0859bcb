"""Takes the moving statistics of batch normalizations anew, while the weights stand still."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from keras_bnn.layers.shift_batch_normalization import ShiftBatchNormalization

BATCH_SIZE = 256


def settle_batch_normalization(model: keras.Model, x: Any, batch_size: int = BATCH_SIZE) -> None:
    """Sets the moving statistics of all batch normalizations to those of `x` under the model's present weights.

    A latent weight near 0 changes its sign from one step to the next, which moves sums by whole inputs: the moving
    averages of a training lag behind the weights, and can cost a trained binary network most of its accuracy.

    One normalization after the other, in the order in which the model calls them, gets the mean and the variance of
    all values that come to it in inference: without dropout, and with the normalizations before it settled already. So
    the statistics are exactly those that the model sees when it is used:

    `mean = sum(n_b * mean_b) / sum(n_b)`, `variance = sum(n_b * (variance_b + (mean_b - mean)^2)) / sum(n_b)`

    over the batches b of n_b values a channel, in float64; for a `ShiftBatchNormalization` with its own variance, as
    1 / std. Frozen layers keep theirs. No weight changes. It takes as many passes over `x` as there are normalizations.

    Args:
        model: A built model of any kind. Normalizations in nested models and layers are found.
        x: Inputs as for `model.predict`: an array, or a list, tuple or dict of arrays. Or batches that can be read
            several times: a `keras.utils.PyDataset`, or an iterable such as a `tf.data.Dataset`, of inputs or of tuples
            that start with inputs. Some thousand samples of the training data are enough as a rule.
        batch_size: Largest number of samples in a batch that is cut from arrays. It bounds the memory, and does not
            change the result (but of a `ShiftBatchNormalization`, a little).

    Raises:
        ValueError: when the model has no batch normalization that could be settled, or x is empty or an iterator. When
            anything fails, all statistics stay as they were.

    Example:

    >>> layer = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> settle_batch_normalization(model, np.array([[1.0], [2.0], [6.0]]))
    >>> layer.moving_mean.numpy().tolist()
    [3.0]
    """
    layers = _normalizations(model)
    before = [(variable, _float64(variable)) for layer in layers for variable in layer.non_trainable_variables]
    settled = False
    try:
        with _no_gradient():
            for layer in _in_order(layers, model, x, batch_size):
                with _collected(layer) as statistics:
                    for batch in _batches(x, batch_size):
                        model(batch, training=False)
                statistics.assign_to(layer)
        settled = True
    finally:
        for variable, value in before:
            if not (settled and variable.name.startswith("moving_")):
                variable.assign(value)


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
    kinds = keras.layers.BatchNormalization, ShiftBatchNormalization
    layers = [
        layer for layer in model._flatten_layers() if isinstance(layer, kinds) and layer.built and layer.trainable
    ]
    if not layers:
        raise ValueError(
            f"SettleBatchNormalization found no built, trainable batch normalization in '{model.name}': build the "
            "model, or leave this step out."
        )
    return layers


def _in_order(layers: list[Any], model: keras.Model, x: Any, batch_size: int) -> list[Any]:
    """Returns those of the layers that the model calls, in the order of their first calls."""
    called: list[Any] = []
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_called(layer, lambda layer, _: called.append(layer)))
        for batch in itertools.islice(_batches(x, batch_size), 1):
            model(batch, training=False)
    if not called:
        raise ValueError("SettleBatchNormalization got no batch of inputs: pass an x that is not empty.")
    return list(dict.fromkeys(called))


@contextmanager
def _called(layer: Any, report: Callable[[Any, Any], None], **arguments: Any) -> Iterator[None]:
    """Within it the layer is called with these arguments, and each call is reported: the layer, its inputs."""
    call = layer.call

    def reporting_call(inputs: Any, *_: Any, **kwargs: Any) -> Any:
        outputs = call(inputs, **{**kwargs, **arguments})
        report(layer, inputs)
        return outputs

    layer.call = reporting_call
    try:
        yield
    finally:
        del layer.call  # uncovers the method of its class


@contextmanager
def _collected(layer: Any) -> Iterator[_Statistics]:
    """Within it the layer takes each batch's own statistics, and they are added up."""
    statistics, momentum = _Statistics(), layer.momentum
    layer.momentum = 0.0  # so that the moving statistics are the batch's
    try:
        with _called(layer, statistics.add, training=True):
            yield statistics
    finally:
        layer.momentum = momentum


class _Statistics:
    """The statistics of one layer, batch by batch."""

    def __init__(self) -> None:
        self._counts: list[float] = []
        self._means: list[np.ndarray] = []
        self._variances: list[np.ndarray] = []

    def add(self, layer: Any, inputs: Any) -> None:
        """Takes the batch's statistics from the layer, which has just computed them."""
        self._counts.append(math.prod(inputs.shape) / inputs.shape[layer.axis])
        self._means.append(_float64(layer.moving_mean))
        if isinstance(layer, ShiftBatchNormalization):
            self._variances.append(_float64(layer.moving_inverse_std) ** -2)
        else:
            self._variances.append(_float64(layer.moving_variance))

    def assign_to(self, layer: Any) -> None:
        """Sets the layer's statistics to those of all batches."""
        mean = np.average(self._means, axis=0, weights=self._counts)
        variances = [variance + (m - mean) ** 2 for variance, m in zip(self._variances, self._means, strict=True)]
        variance = np.average(variances, axis=0, weights=self._counts)
        layer.moving_mean.assign(mean)
        if isinstance(layer, ShiftBatchNormalization):
            layer.moving_inverse_std.assign(variance**-0.5)
        else:
            layer.moving_variance.assign(variance)


def _batches(x: Any, batch_size: int) -> Iterator[Any]:
    """Yields the inputs of one batch after the other."""
    arrays = keras.tree.flatten(x)
    if all(hasattr(array, "shape") for array in arrays):
        samples = len(arrays[0])
        count = -(-samples // batch_size)
        for i in range(count):
            part = slice(samples * i // count, samples * (i + 1) // count)
            yield keras.tree.map_structure(lambda array, part=part: array[part], x)
        return
    is_dataset = isinstance(x, keras.utils.PyDataset)
    if not is_dataset and iter(x) is x:
        raise ValueError(
            "SettleBatchNormalization got an iterator, which can be read only once: pass arrays or a dataset, which is "
            "read for each normalization anew."
        )
    for batch in (x[i] for i in range(len(x))) if is_dataset else x:
        yield keras.utils.unpack_x_y_sample_weight(batch)[0]


def _float64(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)


def _no_gradient() -> AbstractContextManager:
    """Torch keeps all activations for a gradient unless it is told that there will be none."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    return importlib.import_module("torch").no_grad()
