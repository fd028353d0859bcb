"""Where signs flow between layers, and what stands between a sum and its sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import layers

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.model_graph import LayerCall, ModelGraph, gives_signs, keeps_values
from keras_bnn.model_summary.graph_walks import does_nothing, moves_one_tensor
from keras_bnn.model_summary.packed_constants import NORMALIZATIONS, SLOPES, WORD_BITS, array
from keras_bnn.model_summary.packed_layers import (
    POOLS,
    first_quantizer,
    is_fused_activation,
    is_step,
    last_quantizer,
    sign_thresholds,
)

_ALL_STEPS, _ONE_NORMALIZATION, _SIGNS = range(3)
"""What may still stand in front of a sign that becomes part of the op before it: behind a max-pool a normalization or
thresholds, behind a reshape nothing."""


@dataclass(frozen=True)
class SignPath:
    """What is behind a call that nothing but signs read.

    Attributes:
        readers: The calls that compute with the signs.
        between: The calls up to the signs that compute something of each element, thresholds of signs included.
    """

    readers: list[LayerCall]
    between: list[LayerCall]


class SignFlow:
    """Follows signs through a model's graph.

    Args:
        graph: The model's graph.
    """

    def __init__(self, graph: ModelGraph) -> None:
        self._graph = graph

    def reads_bits(self, call: LayerCall) -> bool:
        """Returns whether a binary layer computes with +1 and -1, of its own sign or from the layers before it."""
        if isinstance(call.layer, layers.Conv2DTranspose) and None in call.inputs[0].shape[1:]:
            return False  # its padding depends on the sizes of the images
        if call.layer.input_quantizer is not None:
            return gives_signs(call.layer.input_quantizer)
        return self._are_signs(call.inputs[0])

    def readers(self, call: LayerCall) -> list[LayerCall]:
        """Returns the calls that compute with the signs that a call takes of its inputs."""
        return [call] if isinstance(call.layer, BinaryLayer) else self._value_readers(call)

    def behind(self, call: LayerCall) -> SignPath | None:
        """Returns the way to the signs of a call, or None where others read it, or what is between turns its order."""
        return self._path(call, _ALL_STEPS)

    def gives_signs_alone(self, call: LayerCall) -> bool:
        """Returns whether nothing is read of a call but its signs as they are."""
        return self._path(call, _SIGNS) is not None

    def _path(self, call: LayerCall, allowed: int) -> SignPath | None:
        users = self._graph.users(call)
        if self._graph.is_output(call):
            return None
        path = SignPath([], [])
        for user in users:
            layer = user.layer
            if is_step(layer) or sign_thresholds(layer):
                if len(users) > 1 or not _keeps_order(layer, allowed):
                    return None
                path.between.append(user)
            if gives_signs(first_quantizer(layer)):
                path.readers.extend(self.readers(user))
                continue
            allowed_behind = _allowed_behind(user, allowed)
            behind = self._path(user, allowed_behind) if allowed_behind is not None else None
            if behind is None:
                return None
            path.readers.extend(behind.readers)
            path.between.extend(behind.between)
        return path

    def _value_readers(self, call: LayerCall) -> list[LayerCall]:
        users = self._graph.users(call)
        return [one for user in users for one in (self._value_readers(user) if keeps_values(user) else [user])]

    def _are_signs(self, tensor: Any) -> bool:
        producer = self._graph.producer(tensor)
        if producer is None:
            return False
        if keeps_values(producer):
            return all(self._are_signs(x) for x in producer.inputs)
        return gives_signs(last_quantizer(producer.layer))


def _keeps_order(layer: Any, allowed: int) -> bool:
    """Returns whether what a layer computes of each element can be part of thresholds, where `allowed` may stand."""
    if isinstance(layer, SLOPES):
        alpha = array(layer.alpha)
        return allowed == _ALL_STEPS and alpha.size == alpha.shape[-1] and bool((alpha >= 0).all())
    return allowed == _ALL_STEPS or (allowed == _ONE_NORMALIZATION and not is_fused_activation(layer))


def _allowed_behind(call: LayerCall, allowed: int) -> int | None:
    """Returns what may stand behind a call that is no sign, or None where no sign moves in front of it."""
    if is_step(call.layer):
        return _SIGNS if isinstance(call.layer, NORMALIZATIONS) and allowed == _ONE_NORMALIZATION else allowed
    if does_nothing(call):
        return allowed
    if isinstance(call.layer, POOLS):
        return max(allowed, _ONE_NORMALIZATION)
    return _SIGNS if moves_one_tensor(call) or _joins_words(call) else None


def _joins_words(call: LayerCall) -> bool:
    """Returns whether a call concatenates channels whose words are full, but for the last."""
    if not isinstance(call.layer, layers.Concatenate) or call.layer.axis not in (-1, len(call.outputs[0].shape) - 1):
        return False
    return not any(tensor.shape[-1] % WORD_BITS for tensor in call.inputs[:-1])
