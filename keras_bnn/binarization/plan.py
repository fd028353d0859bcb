"""What `binarize` changes in a model, decided on its graph before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers

from keras_bnn.binarization.cloner import ACTIVATION_LAYERS, BINARY_LAYERS, has_real_kernels
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
# Layers with an argument `activation`, but the recurrent ones, whose activations stand inside.
_WITH_ACTIVATION = (
    *REPLACEABLE,
    layers.Conv1DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.EinsumDense,
    layers.SeparableConv1D,
)
_CHANGEABLE = (*ACTIVATION_LAYERS, *_WITH_ACTIVATION, *BINARY_LAYERS.values())
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
# Their counterparts in keras.ops, whose classes are not public, and the functions of one tensor there that may have
# one sign, those with a second number among them, such as maximum(x, 0).
_KEEP_SIGNS_OPS = {"Add", "Average", "Mean"}
_PASSING_OPS = {*_KEEP_SIGNS_OPS, "Gelu", "LeakyRelu", "Multiply", "Silu", "Subtract", "Tanh"}
_ONE_SIGN_OPS = {
    *("Absolute", "Clip", "Exp", "HardSigmoid", "Maximum", "Minimum", "Power", "Relu", "Relu6", "Sigmoid", "Softmax"),
    *("Softplus", "Sqrt", "Square"),
}


class Plan:
    """The layers of a model that become binary, and what has to change around them.

    Attributes:
        replaced: The layers that become binary.
        real_input: Those of them that read the model's inputs, with no other kernel in between.
        constant_signs: Layers whose activation has one sign everywhere, stands in front of a sign and can be left out.
        fixed_signs: Such layers that have to stay: of a class of the user's, or inside a layer of one.
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
        kernels = [call for call in self._graph.calls if _is_kernel(call.layer)]
        reading = self._reached_from(kernels)
        first = {id(call.layer) for call in kernels} - {id(call.layer) for call in kernels if call in reading}
        last = {id(call.layer) for call in kernels if not self._reaches_kernel(call)}
        kept = first | last if keep_first_and_last else set()
        chosen = [
            call
            for call in kernels
            if id(call.layer) in within_reach
            and is_replaceable(call.layer)
            and (id(call.layer) not in kept or has_real_kernels(call.layer))
            and not is_skipped(call.layer, call.path)
        ]
        self.replaced = _distinct(call.layer for call in chosen)
        self.real_input = [layer for layer in self.replaced if id(layer) in first]
        signs = [call for call in chosen if _takes_sign(call.layer, takes_sign and id(call.layer) not in first)]
        constant = _distinct(layer for call in signs for layer in self._constant_sign(call.inputs[0]) or [])
        self.constant_signs = [layer for layer in constant if id(layer) in within_reach and _is_changeable(layer)]
        self.fixed_signs = [layer for layer in constant if layer not in self.constant_signs]
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
        return any(_is_kernel(one.layer) for one in self._reached_from([call]))

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
        if _has_constant_sign(call):
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
        if _is_kernel(call.layer):
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
    """Returns the layers and ops of a Sequential or functional model and of such models inside it."""
    found: list[Any] = []
    for layer in model.operations if isinstance(model, keras.Function) else model.layers:
        found += _layers_within_reach(layer) if isinstance(layer, (keras.Sequential, keras.Function)) else [layer]
    return found


def is_replaceable(layer: Any) -> bool:
    """Returns whether `binarize` may give a layer binary kernels."""
    return type(layer) in REPLACEABLE or has_real_kernels(layer)


def _is_kernel(layer: Any) -> bool:
    return type(layer) in REPLACEABLE or type(layer) in BINARY_LAYERS.values()


def _takes_sign(layer: Any, otherwise: bool) -> bool:
    """Returns whether a layer will take the sign of its inputs: one that is binary already keeps its quantizer."""
    return layer.input_quantizer is not None if has_real_kernels(layer) else otherwise


def _is_changeable(layer: Any) -> bool:
    """Returns whether a layer's activation can be left out: a class of the user's may need it."""
    return type(layer) in _CHANGEABLE or not isinstance(layer, layers.Layer)


def _passes_on(call: LayerCall) -> bool:
    """Returns whether a call neither normalizes nor multiplies by a kernel."""
    passing = (*_KEEP_SIGNS, *ACTIVATION_LAYERS, layers.Multiply, layers.Subtract)
    return keeps_values(call) or _is_any(call.layer, passing, _PASSING_OPS | _ONE_SIGN_OPS)


def _is_any(layer: Any, classes: Any, ops: Set[str]) -> bool:
    """Returns whether a layer is of one of the classes, or an op of one of the names."""
    return isinstance(layer, classes) if isinstance(layer, layers.Layer) else type(layer).__name__ in ops


def _has_constant_sign(call: LayerCall) -> bool:
    """Returns whether an activation, alone or of a kernel, gives only x >= 0 or only x < 0: it is tried out."""
    layer, x = call.layer, keras.ops.linspace(-8.0, 8.0, 65)
    if not isinstance(layer, layers.Layer):
        if type(layer).__name__ not in _ONE_SIGN_OPS or len(call.inputs) != 1:
            return False
        outputs = _run_op(layer, x)
    else:
        function = layer if isinstance(layer, (layers.ReLU, layers.Softmax)) else getattr(layer, "activation", None)
        if function is None or not isinstance(layer, (*ACTIVATION_LAYERS, *_WITH_ACTIVATION)):
            return False
        outputs = function(x)
    return len(np.unique(keras.ops.convert_to_numpy(outputs) < 0)) == 1


def _run_op(op: Any, x: Any) -> Any:
    """Returns what an op of one tensor makes of a row of values, with the numbers that it was called with."""
    node = op._inbound_nodes[0]
    (tensor,) = node.input_tensors
    args, kwargs = node.arguments.fill_in({id(tensor): keras.ops.reshape(x, (-1, *[1] * (len(tensor.shape) - 1)))})
    return op.call(*args, **kwargs)


def _distinct(found: Iterable[Any]) -> list[Any]:
    return list({id(one): one for one in found}.values())
