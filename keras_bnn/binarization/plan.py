"""What `binarize` changes in a model, decided on its graph before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers

from keras_bnn.binarization.cloner import BINARY_LAYERS
from keras_bnn.layers import ShiftBatchNormalization
from keras_bnn.model_graph import LayerCall, ModelGraph, keeps_values

REPLACEABLE = tuple(BINARY_LAYERS)
_NORMALIZATIONS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
    ShiftBatchNormalization,
)
_ACTIVATIONS = (layers.Activation, layers.ELU, layers.LeakyReLU, layers.PReLU, layers.ReLU, layers.Softmax)
# Layers whose outputs have one sign where all their inputs have it.
_KEEP_SIGNS = (
    layers.Add,
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.UpSampling2D,
)
# Their counterparts in keras.ops, whose classes are not public, and the activations there with one sign.
_KEEP_SIGNS_OPS = {"Add", "Average", "Mean"}
_PASSING_OPS = {*_KEEP_SIGNS_OPS, "Gelu", "LeakyRelu", "Multiply", "Silu", "Subtract", "Tanh"}
_CONSTANT_SIGN_OPS = {"HardSigmoid", "ReLU", "Relu", "Relu6", "Sigmoid", "Softmax", "Softplus"}


class Plan:
    """The layers of a model that become binary, and what has to change around them.

    Attributes:
        replaced: The layers that become binary.
        real_input: Those of them that read the model's inputs, with no other kernel in between.
        constant_signs: Layers whose activation has one sign everywhere and stands in front of a sign.
        unnormalized: Layers with sums that reach a sign, or come from one, without a normalization behind them.

    Args:
        model: A built Sequential or functional model.
        graph: Its graph.
        is_skipped: Says of a layer and its path whether it stays as it is.
        keep_first_and_last: Whether layers with no other kernel before or behind them stay as they are.
        takes_sign: Whether replaced layers take the sign of their inputs.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: ModelGraph,
        is_skipped: Callable[[Any, str], bool],
        *,
        keep_first_and_last: bool,
        takes_sign: bool,
    ) -> None:
        self._graph = graph
        # What has been found of tensors and calls: branches that split and join would be walked once for each path.
        self._constant: dict[int, list[Any] | None] = {}
        self._sums: dict[int, list[LayerCall]] = {}
        self._normalized: dict[LayerCall, bool] = {}
        within_reach = set(map(id, _layers_within_reach(model)))
        kernels = [call for call in self._graph.calls if type(call.layer) in REPLACEABLE]
        reading = self._reached_from(kernels)
        first = {id(call.layer) for call in kernels} - {id(call.layer) for call in kernels if call in reading}
        last = {id(call.layer) for call in kernels if not self._reaches_kernel(call)}
        kept = first | last if keep_first_and_last else set()
        chosen = [
            call
            for call in kernels
            if id(call.layer) in within_reach and id(call.layer) not in kept and not is_skipped(call.layer, call.path)
        ]
        self.replaced = _distinct(call.layer for call in chosen)
        self.real_input = [layer for layer in self.replaced if id(layer) in first]
        signs = [call for call in chosen if takes_sign and id(call.layer) not in first]
        constant: list[Any] = []
        for call in signs:
            constant += self._constant_sign(call.inputs[0]) or []
        self.constant_signs = _distinct(constant)
        sums = [self._sums_before(call.inputs[0]) for call in signs]
        candidates = [*chosen, *(one for before in sums for one in before)]
        self.unnormalized = _distinct(
            call.layer for call in candidates if id(call.layer) in within_reach and not self._is_normalized(call)
        )

    def _reached_from(self, calls: Iterable[LayerCall]) -> set[LayerCall]:
        """Returns all calls that compute with what some of the calls compute."""
        reached: set[LayerCall] = set()
        waiting = list(calls)
        while waiting:
            users = [user for user in self._graph.users(waiting.pop()) if user not in reached]
            reached.update(users)
            waiting += users
        return reached

    def _reaches_kernel(self, call: LayerCall) -> bool:
        return any(type(one.layer) in REPLACEABLE for one in self._reached_from([call]))

    def _constant_sign(self, tensor: KerasTensor) -> list[Any] | None:
        """Returns the layers whose activations make a tensor's sign constant, or None where it is not.

        Of several tensors that are put side by side, each is looked at on its own.
        """
        if id(tensor) not in self._constant:
            self._constant[id(tensor)] = self._find_constant_sign(tensor)
        return self._constant[id(tensor)]

    def _find_constant_sign(self, tensor: KerasTensor) -> list[Any] | None:
        call = self._graph.producer(tensor)
        if call is None:
            return None
        if _has_constant_sign(call.layer):
            return [call.layer]
        found = [self._constant_sign(x) for x in call.inputs]
        if _is_any(call.layer, layers.Concatenate, {"Concatenate"}):
            return _distinct(layer for one in found for layer in one or []) or None
        if not (keeps_values(call) or _is_any(call.layer, _KEEP_SIGNS, _KEEP_SIGNS_OPS)) or None in found:
            return None
        return _distinct(layer for one in found for layer in one or [])

    def _sums_before(self, tensor: KerasTensor) -> list[LayerCall]:
        """Returns the calls of kernels whose sums reach a tensor without a normalization."""
        if id(tensor) not in self._sums:
            self._sums[id(tensor)] = _distinct(self._find_sums_before(tensor))
        return self._sums[id(tensor)]

    def _find_sums_before(self, tensor: KerasTensor) -> list[LayerCall]:
        call = self._graph.producer(tensor)
        if call is None:
            return []
        if type(call.layer) in REPLACEABLE:
            return [call]
        return [one for x in call.inputs for one in self._sums_before(x)] if _passes_on(call) else []

    def _is_normalized(self, call: LayerCall) -> bool:
        """Returns whether all that reads a call's outputs does so behind a normalization."""
        if call not in self._normalized:
            self._normalized[call] = self._find_normalized(call)
        return self._normalized[call]

    def _find_normalized(self, call: LayerCall) -> bool:
        users = self._graph.users(call)
        return bool(users) and all(
            isinstance(user.layer, _NORMALIZATIONS) or (_passes_on(user) and self._is_normalized(user))
            for user in users
        )


def _layers_within_reach(model: keras.Model) -> list[Any]:
    """Returns the layers of a Sequential or functional model and of such models inside it."""
    found: list[Any] = []
    for layer in model.layers:
        found += _layers_within_reach(layer) if isinstance(layer, (keras.Sequential, keras.Function)) else [layer]
    return found


def _passes_on(call: LayerCall) -> bool:
    """Returns whether a call neither normalizes nor multiplies by a kernel."""
    passing = (*_KEEP_SIGNS, *_ACTIVATIONS, layers.Multiply, layers.Subtract)
    return keeps_values(call) or _is_any(call.layer, passing, _PASSING_OPS | _CONSTANT_SIGN_OPS)


def _is_any(layer: Any, classes: Any, ops: Set[str]) -> bool:
    """Returns whether a layer is of one of the classes, or an op of one of the names."""
    return isinstance(layer, classes) if isinstance(layer, layers.Layer) else type(layer).__name__ in ops


def _has_constant_sign(layer: Any) -> bool:
    """Returns whether an activation, alone or of a kernel, gives only x >= 0 or only x < 0: it is tried out."""
    if not isinstance(layer, layers.Layer):
        return type(layer).__name__ in _CONSTANT_SIGN_OPS
    function = layer if isinstance(layer, (layers.ReLU, layers.Softmax)) else getattr(layer, "activation", None)
    if function is None or not isinstance(layer, (*_ACTIVATIONS, *REPLACEABLE)):
        return False
    values = keras.ops.convert_to_numpy(function(keras.ops.linspace(-8.0, 8.0, 65)))
    return len(np.unique(values < 0)) == 1


def _distinct(found: Iterable[Any]) -> list[Any]:
    return list({id(one): one for one in found}.values())
