"""How many bytes of weights the packed .tflite file holds: what `keras_bnn.convert` does, told from the Keras model.

Weight bytes are those of the constants that come from the model's variables. The file has further constants, integers
such as the shape of a reshape, and its own structure; both depend on the number of ops, not of weights.

    binary kernel        1 bit a weight, channels filled up to words of 4 bytes, for each tap of each filter
                         + 4 bytes a channel, a threshold, where bits come in and only signs go out
                         + 8 bytes a channel, multiplier and bias, elsewhere
    real-valued kernel   4 bytes a weight + 4 bytes a channel of bias; a dense or transposed layer may have none
    batch normalization  none where the layer before it takes it up, or a dense one behind it; else 8 bytes a channel
    all other weights    4 bytes each
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.model_graph import LayerCall, ModelGraph, OwnWeights, gives_signs, keeps_values
from keras_bnn.model_summary.packed_layers import (
    BIAS_IS_OPTIONAL,
    FUSED_ACTIVATIONS,
    NORMALIZATIONS,
    RESHAPES,
    SEPARABLE,
    count_thresholds,
    first_quantizer,
    has_plain_sums,
    is_dilated,
    is_fused_activation,
    is_packable,
    last_kernel,
    last_quantizer,
    packs_pointwise,
    shows_signs,
    turns_channels,
)

_WORD_BITS, _WORD_BYTES, _FLOAT_BYTES = 32, 4, 4


class PackedBytes:
    """Predicts weight bytes layer by layer.

    Args:
        graph: The model's graph.
    """

    def __init__(self, graph: ModelGraph) -> None:
        self._graph = graph
        packable = {id(layer): is_packable(layer) for layer in {call.layer for call in graph.calls}}
        self._packs = {
            call: packable[id(call.layer)] and (self._reads_bits(call) or shows_signs(call.layer))
            for call in graph.calls
        }
        self._taken_up: dict[LayerCall, LayerCall] = {}  # a batch normalization, and the layer that takes it up
        self._ends: dict[LayerCall, LayerCall] = {}  # a kernel's call, and the last call that it takes up
        for call in graph.calls:
            for follower in self._chain(call):
                self._ends[call] = follower
                if isinstance(follower.layer, NORMALIZATIONS):
                    self._taken_up[follower] = call
        self._packs |= {call: False for call in graph.calls if self._packs[call] and self._is_scaled(call)}
        self._zeros: dict[LayerCall, set[int]] = {}  # sizes of biases of zeros, of which the file holds each once
        for call in graph.calls:
            self._zeros[call] = self._zero_biases(call).difference(*self._zeros.values())

    def of(self, call: LayerCall, *, is_first: bool) -> int:
        """Returns the bytes of a call's weights; a further call of the same layer adds only what is its own."""
        layer = call.layer
        if isinstance(layer, OwnWeights):
            return _FLOAT_BYTES * sum(math.prod(w.shape) for w in layer.weights) * is_first
        if not isinstance(layer, layers.Layer):
            return 0
        if isinstance(layer, NORMALIZATIONS):
            is_folded = call in self._taken_up or self._scales_readers(call)
            return 0 if is_folded else 2 * _FLOAT_BYTES * layer.moving_mean.shape[0]
        thresholds = 0 if self._takes_up_threshold(call) else _FLOAT_BYTES * count_thresholds(layer)
        if self._packs[call]:
            has_thresholds = self._reads_bits(call) and self._emits_bits(self._ends.get(call, call))
            channel_bytes = _FLOAT_BYTES * (1 if has_thresholds else 2)
            packed = _WORD_BYTES * self._words(call) + channel_bytes * layer.kernel.shape[-1]
            return packed * (call.repeats or 1) + thresholds * is_first
        if packs_pointwise(layer):
            *_, channels, filters = layer.pointwise_kernel.shape
            real_valued = math.prod(layer.depthwise_kernel.shape) + sum(self._zeros[call])
            packed = _WORD_BYTES * filters * -(-channels // _WORD_BITS) + 2 * _FLOAT_BYTES * filters
            return _FLOAT_BYTES * real_valued + packed * (call.repeats or 1) + thresholds
        if not is_first and call not in self._taken_up.values() and not self._is_scaled(call):
            return 0
        weights = sum(math.prod(w.shape) for w in layer.weights) - count_thresholds(layer)
        return _FLOAT_BYTES * (weights + self._added_bias(call)) + thresholds * is_first

    def _added_bias(self, call: LayerCall) -> int:
        """Returns the channels of the biases that the file has and the layer has not; negative for the converse."""
        layer = call.layer
        if last_kernel(layer) is None:
            return 0
        if self._moves_bias(call):
            return -layer.units if layer.use_bias else 0
        takes_up_bias = call in self._taken_up.values() and not layer.use_bias
        return sum(self._zeros[call]) + (call.outputs[0].shape[-1] if takes_up_bias else 0)

    def _zero_biases(self, call: LayerCall) -> set[int]:
        """Returns the channels of the biases of zeros that the file has where the layer has none."""
        layer, kernel = call.layer, last_kernel(call.layer)
        if kernel is None or self._packs[call]:
            return set()
        between = {kernel.shape[-2]} if isinstance(layer, SEPARABLE) else set()
        has_bias = layer.use_bias and not is_dilated(layer)  # a dilated convolution's own bias is an op of its own
        if has_bias or call in self._taken_up.values() or packs_pointwise(layer) or isinstance(layer, BIAS_IS_OPTIONAL):
            return between
        return between | {call.outputs[0].shape[-1]}

    def _moves_bias(self, call: LayerCall) -> bool:
        """Returns whether a dense layer's bias goes into those of the dense layers behind it."""
        is_plain = isinstance(call.layer, layers.Dense) and call.layer.activation is keras.activations.linear
        return is_plain and self._adds_to_biases(self._ends.get(call, call))

    def _adds_to_biases(self, call: LayerCall) -> bool:
        """Returns whether nothing but dense layers with a bias reads a call: what it adds goes into the biases."""
        users = self._graph.users(call)
        if not users or self._graph.is_output(call) or len(call.outputs[0].shape) != 2:
            return False
        return all(
            self._adds_to_biases(user)
            if _does_nothing(user) or isinstance(user.layer, layers.BatchNormalization)
            else self._keeps_bias_for_values(user)
            for user in users
        )

    def _keeps_bias_for_values(self, call: LayerCall) -> bool:
        """Returns whether a call is a dense layer that reads values, no signs, and whose bias stays with it."""
        if not isinstance(call.layer, layers.Dense) or getattr(call.layer, "input_quantizer", None) is not None:
            return False
        return (call.layer.use_bias or call in self._taken_up.values()) and not self._moves_bias(call)

    def _scales_readers(self, call: LayerCall) -> bool:
        """Returns whether a call is a batch normalization that goes into the dense layers behind it, kernels too."""
        return isinstance(call.layer, layers.BatchNormalization) and self._adds_to_biases(call)

    def _is_scaled(self, call: LayerCall) -> bool:
        """Returns whether a dense layer's kernel takes up a batch normalization before it: no longer a binary one."""
        if not isinstance(call.layer, layers.Dense) or getattr(call.layer, "input_quantizer", None) is not None:
            return False
        before = self._graph.producer(call.inputs[0])
        while before is not None and _does_nothing(before):
            before = self._graph.producer(before.inputs[0])
        return before is not None and self._scales_readers(before)

    def _words(self, call: LayerCall) -> int:
        kernel = call.layer.kernel
        if not isinstance(call.layer, layers.Dense):
            return kernel.shape[-1] * math.prod(kernel.shape[:-2]) * -(-kernel.shape[-2] // _WORD_BITS)
        inputs, units = kernel.shape
        channels = self._channels(call) if self._reads_bits(call) else inputs
        return units * (inputs // channels) * -(-channels // _WORD_BITS)

    def _channels(self, call: LayerCall) -> int:
        """Returns the channels of a pixel in front of the flatten that a dense layer reads through."""
        row = call.inputs[0].shape[-1]
        if not self._takes_up_threshold(call):
            return row  # thresholds stand between the flatten and the sign
        before = self._graph.producer(call.inputs[0])
        while before is not None and len(before.inputs) == 1 and keeps_values(before):
            channels = before.inputs[0].shape[-1]
            if isinstance(before.layer, RESHAPES) and channels != row:
                return channels if channels and row % channels == 0 else row
            before = self._graph.producer(before.inputs[0])
        return row

    def _chain(self, call: LayerCall) -> Iterator[LayerCall]:
        """Yields the calls behind a kernel that its op takes up: [activation] [max-pool] normalization."""
        layer, packs = call.layer, self._packs[call]
        if not packs and (last_kernel(layer) is None or is_dilated(layer)):
            return
        if isinstance(layer, layers.Dense) and not packs and len(call.inputs[0].shape) != 2:
            return
        is_plain = layer.activation is keras.activations.linear
        moves_scale = packs and has_plain_sums(layer)
        fuses_activation = moves_scale and not is_dilated(layer)
        if not is_plain and not (fuses_activation and layer.activation in FUSED_ACTIVATIONS):
            return
        between: list[LayerCall] = []
        while (follower := self._only_user(call)) is not None:
            call = follower
            if isinstance(call.layer, NORMALIZATIONS):
                pools = any(isinstance(one.layer, layers.MaxPooling2D) for one in between)
                if not (pools and turns_channels(call.layer)):
                    yield from (*between, call)
                return
            if is_fused_activation(call.layer) and fuses_activation and is_plain and not between:
                is_plain = False
            elif isinstance(call.layer, layers.MaxPooling2D):
                if not moves_scale:
                    return
            elif isinstance(call.layer, RESHAPES) or not _moves_one_tensor(call):
                return
            between.append(call)

    def _only_user(self, call: LayerCall) -> LayerCall | None:
        users = self._graph.users(call)
        return users[0] if len(users) == 1 and not self._graph.is_output(call) else None

    def _emits_bits(self, call: LayerCall) -> bool:
        """Returns whether nothing but signs reads what a call computes, and a packed op reads those signs."""
        readers = self._sign_readers(call)
        return readers is not None and any(self._packs[reader] for reader in readers)

    def _sign_readers(self, call: LayerCall) -> list[LayerCall] | None:
        """Returns the calls that read the signs of what a call computes, or None where something else reads it."""
        if self._graph.is_output(call):
            return None
        readers: list[LayerCall] = []
        for user in self._graph.users(call):
            if gives_signs(first_quantizer(user.layer)):
                if not self._takes_up_threshold(user):
                    return None
                readers += [user] if isinstance(user.layer, BinaryLayer) else self._value_readers(user)
            elif (keeps_values(user) and len(user.inputs) == 1) or is_fused_activation(user.layer):
                behind = self._sign_readers(user)
                if behind is None:
                    return None
                readers += behind
            else:
                return None
        return readers

    def _value_readers(self, call: LayerCall) -> list[LayerCall]:
        """Returns the calls that read the values of a call, wherever they are moved."""
        users = self._graph.users(call)
        return [one for user in users for one in (self._value_readers(user) if keeps_values(user) else [user])]

    def _takes_up_threshold(self, call: LayerCall) -> bool:
        """Returns whether a sign has no learned thresholds, or the bias right before it takes them up."""
        if not count_thresholds(call.layer):
            return True
        before = self._graph.producer(call.inputs[0])
        if before is None or self._only_user(before) is not call:
            return False
        return isinstance(before.layer, NORMALIZATIONS) or last_kernel(before.layer) is not None

    def _reads_bits(self, call: LayerCall) -> bool:
        """Returns whether a packed op computes with +1 and -1, of its own sign or from the layers before it."""
        if isinstance(call.layer, layers.Conv1D):
            return False  # the converter does not see a sign through the reshapes around it
        if call.layer.input_quantizer is not None:
            return gives_signs(call.layer.input_quantizer)
        return self._are_signs(call.inputs[0])

    def _are_signs(self, tensor: Any) -> bool:
        producer = self._graph.producer(tensor)
        if producer is None:
            return False
        if keeps_values(producer):
            return all(self._are_signs(x) for x in producer.inputs)
        return gives_signs(last_quantizer(producer.layer))


def _does_nothing(call: LayerCall) -> bool:
    """Returns whether a call is left out of the file, as dropout is."""
    return _moves_one_tensor(call) and call.inputs[0].shape == call.outputs[0].shape


def _moves_one_tensor(call: LayerCall) -> bool:
    return isinstance(call.layer, layers.Layer) and keeps_values(call) and len(call.inputs) == 1
