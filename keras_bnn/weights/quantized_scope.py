"""Shows the +1 and -1 in a model's variables for a while."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn

import keras
import numpy as np

from keras_bnn.weights.binary_kernels import binary_kernels, quantized_values
from keras_bnn.weights.binary_weights import reproduces


@contextmanager
def quantized_scope(model: keras.layers.Layer) -> Iterator[None]:
    """Within it the variables of a model's binary kernels hold their quantized values: +1 and -1.

    So `layer.kernel`, `get_weights`, `save_weights` and `save` all show what the model computes with, and a saved file
    computes the same when it is loaded. On leaving, by an exception too, each kernel gets its latent weights back, bit
    for bit; meanwhile both take 8 bytes a weight of the computer's memory.

    Scopes may be nested, and several threads may enter scopes of the same or of different models: the first one
    quantizes a kernel, the last one restores it. Other threads read the variables too: they see either kind of values,
    and `predict` and `evaluate` give the same result on both, since a sign's sign is itself. The same is true of every
    quantizer that keeps its own outputs; of any other the scope warns.

    Training has no place in it: it would change the +1 and -1, and the latent weights would not learn of it.

    Args:
        model: A built model or layer.

    Raises:
        ValueError: when the model is not built.
        RuntimeError: when the model, or a model inside it, is trained within the scope, or on leaving, when something
            else has changed a kernel. The latent weights are restored first.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), layers.BinaryDense(4)])
    >>> with quantized_scope(model):
    ...     np.unique(model.layers[0].get_weights()[0]).tolist()
    [-1.0, 1.0]
    """
    kernels = binary_kernels(model)
    with ExitStack() as stack:
        for one in model._flatten_layers():
            if isinstance(one, keras.Model):
                stack.enter_context(_shared(one, _no_training(one)))
        for path, (variable, quantizer) in kernels.items():
            stack.enter_context(_shared(variable, _quantized(path, variable, quantizer)))
            if not reproduces(quantizer, variable, keras.ops.convert_to_numpy(variable.value)):
                warnings.warn(
                    f"The quantizer of '{path}' makes other values of its own outputs, so that within quantized_scope "
                    "the model computes with those: look at the weights, but save the model outside of it.",
                    stacklevel=3,  # the line of the with statement
                )
        yield


_lock = threading.RLock()
_held: dict[int, tuple[AbstractContextManager, int]] = {}  # by an object's id: what was entered, by how many scopes


@contextmanager
def _shared(held: Any, context: AbstractContextManager) -> Iterator[None]:
    """Enters the context of an object unless another scope already has; the last scope leaves it, whoever it is."""
    with _lock:
        entered, scopes = _held.get(id(held), (context, 0))
        if scopes == 0:
            entered.__enter__()
        _held[id(held)] = entered, scopes + 1
    try:
        yield
    finally:
        with _lock:
            entered, scopes = _held.pop(id(held))
            if scopes > 1:
                _held[id(held)] = entered, scopes - 1
            else:
                entered.__exit__(None, None, None)


@contextmanager
def _quantized(path: str, variable: keras.Variable, quantizer: Callable[[Any], Any]) -> Iterator[None]:
    latent = keras.ops.convert_to_numpy(variable.value).copy()
    quantized = quantized_values(variable, quantizer)
    variable.assign(quantized)
    yield
    changed = not np.array_equal(keras.ops.convert_to_numpy(variable.value), quantized, equal_nan=True)
    variable.assign(latent)
    if changed:
        raise RuntimeError(
            f"'{path}' was changed within quantized_scope: its latent weights are those from before, so assign or load "
            "weights outside of it."
        )


@contextmanager
def _no_training(model: keras.Model) -> Iterator[None]:
    """`fit` and `train_on_batch` ask the model for its training function: refuses there, before the work is lost."""

    def make_train_function(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(
            f"'{model.name}' was to be trained within quantized_scope, where its latent weights are put aside: call "
            "fit outside of it."
        )

    model.make_train_function = make_train_function
    yield
    del model.make_train_function
