"""What the converter makes of a model's graph: which kernels it packs, and what their ops take up."""

from __future__ import annotations

import keras
from keras import layers

from keras_bnn.model_graph import LayerCall, ModelGraph, gives_signs
from keras_bnn.model_summary.dense_rows import DenseRows
from keras_bnn.model_summary.graph_walks import computed_before, does_nothing, moves_one_tensor, only_user
from keras_bnn.model_summary.packed_constants import NORMALIZATIONS
from keras_bnn.model_summary.packed_layers import (
    FUSED_ACTIVATIONS,
    POOLS,
    RESHAPES,
    first_quantizer,
    has_plain_sums,
    is_dilated,
    is_fused_activation,
    is_step,
    is_sum_or_product,
    kernel_roles,
    kernel_variables,
    packable_roles,
    shows_signs,
    sign_thresholds,
    turns_channels,
)
from keras_bnn.model_summary.sign_flow import SignFlow

_LEAST_SIZE = 4
"""Inputs and units of a dense kernel out of which the converter takes the factors of a normalization."""


class PackedGraph:
    """A model's graph with what the converter does to it.

    Args:
        graph: The model's graph.

    Attributes:
        packed: The roles of the kernels that a call's packed ops hold.
        folded: What a kernel's op takes up as its multiplier and bias, by the kernel's call: a normalization, and what
            stands before it.
        thresholds: What the thresholds of a kernel's op contain beside it, by the kernel's call: all between its sums
            and the signs that are read of them. Ops of other calls have multiplier and bias.
        dense: What the stock converter moves between dense layers.
    """

    def __init__(self, graph: ModelGraph) -> None:
        self._graph = graph
        self._signs = SignFlow(graph)
        packable = {id(layer): packable_roles(layer) for layer in {call.layer for call in graph.calls}}
        self.packed = {call: self._packed_roles(call, packable[id(call.layer)]) for call in graph.calls}
        self.folded = {call: found for call in graph.calls if (found := self._foldable(call))}
        self.dense = DenseRows(graph, {call: found[-1] for call, found in self.folded.items()})
        self.packed |= {call: [] for call in graph.calls if self._hides_signs(call)}
        between = {call: self._before_signs(call) for call in graph.calls}
        self.thresholds = {call: calls for call, calls in between.items() if calls is not None}
        self._taken_up = {one for calls in (*self.folded.values(), *self.thresholds.values()) for one in calls}

    def is_taken_up(self, call: LayerCall) -> bool:
        """Returns whether what a call computes of each element, its sign included, is part of a kernel's op."""
        return call in self._taken_up or self.dense.scales_readers(call)

    def normalization_behind(self, call: LayerCall) -> LayerCall | None:
        """Returns the normalization that is the multiplier and bias of a kernel's op, if any."""
        return self.folded[call][-1] if call in self.folded else None

    def pixels(self, call: LayerCall) -> int:
        """Returns how many pixels a packed dense layer reads as one row, through a flatten in front of it."""
        row = call.inputs[0].shape[-1]
        if not self._signs.reads_bits(call) or sign_thresholds(call.layer):
            return 1  # thresholds stand between the flatten and the sign
        before = self._graph.producer(call.inputs[0])
        while before is not None and moves_one_tensor(before):
            channels = before.inputs[0].shape[-1]
            if isinstance(before.layer, RESHAPES) and channels != row:
                return row // channels if channels and row % channels == 0 else 1
            before = self._graph.producer(before.inputs[0])
        return 1

    def is_packed_sign(self, call: LayerCall) -> bool:
        """Returns whether a call takes the signs of its inputs, and a packed op reads them."""
        return gives_signs(first_quantizer(call.layer)) and any(map(self._packs_inputs, self._signs.readers(call)))

    def is_pooled_sign(self, call: LayerCall) -> bool:
        """Returns whether a max-pool stands right before a call, and nothing but signs read it."""
        before = computed_before(self._graph, call)
        is_pooled = (
            before is not None and isinstance(before.layer, POOLS) and only_user(self._graph, before) is not None
        )
        return is_pooled and self._signs.gives_signs_alone(call)

    def is_behind_packed(self, call: LayerCall) -> bool:
        """Returns whether a packed op computes what a call reads, itself or as one of its steps."""
        before = computed_before(self._graph, call)
        return before is not None and self._is_step(before)

    def normalization_of_sign(self, call: LayerCall) -> LayerCall | None:
        """Returns the normalization that becomes the multiplier and bias of a sign without thresholds, if any."""
        before = self._graph.producer(call.inputs[0])
        while before is not None and moves_one_tensor(before) and only_user(self._graph, before) is not None:
            before = self._graph.producer(before.inputs[0])
        if before is None or not isinstance(before.layer, NORMALIZATIONS):
            return None
        return None if self.is_taken_up(before) or self._is_step(before) else before

    def merges_thresholds(self, call: LayerCall) -> bool:
        """Returns whether the bias right before a sign takes up its thresholds, in the stock converter."""
        before = computed_before(self._graph, call)
        if before is None or only_user(self._graph, before) is None:
            return False
        return isinstance(before.layer, NORMALIZATIONS) or _is_linear(before)

    def merges_shift(self, call: LayerCall) -> bool:
        """Returns whether the bias of a convolution right before a shift takes it up, in the stock converter."""
        before = computed_before(self._graph, call)
        if (
            before is not None
            and isinstance(before.layer, NORMALIZATIONS)
            and only_user(self._graph, before) is not None
        ):
            before = computed_before(self._graph, before)
        if before is None or only_user(self._graph, before) is None or not _is_linear(before):
            return False
        return not isinstance(before.layer, layers.Dense) and not is_dilated(before.layer)

    def _packed_roles(self, call: LayerCall, packable: list[str]) -> list[str]:
        reads_bits = bool(packable) and self._signs.reads_bits(call)
        roles = kernel_roles(call.layer)
        return [role for role in packable if (role == roles[0] and reads_bits) or shows_signs(call.layer, role)]

    def _packs_inputs(self, call: LayerCall) -> bool:
        return bool(self.packed[call]) and self.packed[call][0] == kernel_roles(call.layer)[0]

    def _packs_outputs(self, call: LayerCall) -> bool:
        return bool(self.packed[call]) and self.packed[call][-1] == kernel_roles(call.layer)[-1]

    def _hides_signs(self, call: LayerCall) -> bool:
        """Returns whether a normalization in front scales a kernel that is too small to be seen as binary then."""
        return min(call.layer.kernel.shape) < _LEAST_SIZE if self.dense.normalization_in_front(call) else False

    def _foldable(self, call: LayerCall) -> list[LayerCall]:
        """Returns the calls that a kernel's op takes up: [activation] [max-pool] normalization, or none."""
        layer, packs = call.layer, self._packs_outputs(call)
        if not packs and (not kernel_variables(layer) or is_dilated(layer)):
            return []
        if isinstance(layer, layers.Dense) and not packs and len(call.inputs[0].shape) != 2:
            return []
        moves_scale = packs and has_plain_sums(layer, kernel_roles(layer)[-1])
        is_plain = _is_linear(call)
        if not is_plain and not (moves_scale and layer.activation in FUSED_ACTIVATIONS):
            return []
        is_pooled, found = False, []
        follower = only_user(self._graph, call)
        while follower is not None:
            found.append(follower)
            if isinstance(follower.layer, NORMALIZATIONS):
                return [] if is_pooled and turns_channels(follower.layer) else found
            if is_fused_activation(follower.layer) and moves_scale and is_plain and not is_pooled:
                is_plain = False
            elif isinstance(follower.layer, POOLS) and moves_scale:
                is_pooled = True
            elif not does_nothing(follower):
                break
            follower = only_user(self._graph, follower)
        return []

    def _before_signs(self, call: LayerCall) -> list[LayerCall] | None:
        """Returns the calls between exact sums and their signs, or None where packed ops do not read signs alone."""
        if not self._packs_outputs(call) or len(kernel_roles(call.layer)) > 1 or not self._signs.reads_bits(call):
            return None
        path = self._signs.behind(self.normalization_behind(call) or call)
        return path.between if path is not None and any(map(self._packs_inputs, path.readers)) else None

    def _is_step(self, call: LayerCall) -> bool:
        if kernel_variables(call.layer):
            return self._packs_outputs(call)
        if not is_sum_or_product(call.layer) and not is_step(call.layer) and not does_nothing(call):
            return False
        before = [self._graph.producer(tensor) for tensor in call.inputs]
        return any(one is not None and only_user(self._graph, one) is call and self._is_step(one) for one in before)


def _is_linear(call: LayerCall) -> bool:
    """Returns whether a call is a convolution or dense layer without activation."""
    return bool(kernel_variables(call.layer)) and call.layer.activation is keras.activations.linear
