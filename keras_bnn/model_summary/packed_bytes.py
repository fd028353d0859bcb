"""How many bytes of weights the packed .tflite file holds: what `keras_bnn.convert` does, told from the Keras model.

Weight bytes are those of the constants that come from the model's variables, equal ones once. The file has further
constants, integers such as the shape of a reshape, and its own structure; both depend on the number of ops, not of
weights.

    binary kernel        1 bit a weight, channels filled up to words of 4 bytes, for each tap of each filter
                         + 4 bytes a channel, a threshold, where bits come in and only signs go out: it stands for all
                           that is computed between the sum and the sign
                         + 8 bytes a channel, multiplier and bias, elsewhere
    real-valued kernel   4 bytes a weight + 4 bytes a channel of bias; a dense or transposed layer may have none
    batch normalization  none where the layer before it takes it up, or a dense one behind it; else 8 bytes a channel
    all other weights    4 bytes each
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

from keras_bnn.layers.rprelu import RPReLU
from keras_bnn.model_graph import REAL_BITS, LayerCall, ModelGraph, OwnWeights, gives_signs, precision
from keras_bnn.model_summary.packed_constants import (
    NORMALIZATIONS,
    SLOPES,
    Array,
    Constant,
    array,
    normalization_form,
    numbers,
    operands,
    packed_bits,
    words_for,
)
from keras_bnn.model_summary.packed_graph import PackedGraph
from keras_bnn.model_summary.packed_layers import (
    BIAS_IS_OPTIONAL,
    first_quantizer,
    is_dilated,
    kernel_roles,
    kernel_rows,
    kernel_variables,
    kernel_words,
    moves_zero,
    quantizer_weights,
    sign_thresholds,
    turns_channels,
)


class PackedBytes:
    """Predicts weight bytes layer by layer.

    Args:
        graph: The model's graph.
    """

    def __init__(self, graph: ModelGraph) -> None:
        self._graph = PackedGraph(graph)
        self._written: set[Constant] = set()

    def of(self, call: LayerCall) -> int:
        """Returns the bytes of the constants of a call that no call before had; ask for calls in their order."""
        constants = set(self._constants(call)) - self._written
        self._written |= constants
        return sum(constant.nbytes for constant in constants)

    def unpacked_roles(self, call: LayerCall) -> list[str]:
        """Returns the roles of the quantized kernels that the file holds in float32."""
        layer = call.layer
        quantized = [role for role in kernel_roles(layer) if precision(getattr(layer, f"{role}_quantizer")) < REAL_BITS]
        return [role for role in quantized if role not in self._graph.packed[call]]

    def _constants(self, call: LayerCall) -> Iterator[Constant]:
        layer = call.layer
        if isinstance(layer, OwnWeights):
            yield from map(numbers, layer.weights)
        if not isinstance(layer, layers.Layer):
            return
        yield from self._constants_of_quantizer(call)
        if isinstance(layer, (*NORMALIZATIONS, *SLOPES)):
            yield from self._constants_of_steps(call)
        elif kernel_variables(layer):
            yield from self._constants_of_kernels(call)
        else:
            known = set(map(id, quantizer_weights(layer)))
            yield from (numbers(weight) for weight in layer.weights if id(weight) not in known)

    def _constants_of_quantizer(self, call: LayerCall) -> Iterator[Constant]:
        """Yields what a sign compares with: as multiplier and bias where no op before it takes them up."""
        layer = call.layer
        if not gives_signs(first_quantizer(layer)):
            yield from map(numbers, quantizer_weights(layer))
            return
        if self._graph.is_taken_up(call):
            return
        values = [] if self._graph.merges_thresholds(call) else sign_thresholds(layer)
        yield from (numbers(-threshold) for threshold in values)
        if not self._graph.is_packed_sign(call):
            return
        if values and not self._graph.is_behind_packed(call):
            yield numbers(np.ones(call.inputs[0].shape[-1], np.float32))
        if not values and (normalization := self._graph.normalization_of_sign(call)) is not None:
            yield from map(numbers, normalization_form(normalization.layer))

    def _constants_of_steps(self, call: LayerCall) -> Iterator[Constant]:
        layer = call.layer
        if not self._graph.is_taken_up(call):
            values = operands(layer)
            if isinstance(layer, RPReLU) and array(layer.input_shift).any() and self._graph.merges_shift(call):
                del values[0]
            yield from map(numbers, values)
        if isinstance(layer, NORMALIZATIONS) and turns_channels(layer) and self._graph.is_pooled_sign(call):
            factor, _ = normalization_form(layer)
            yield packed_bits(factor < 0, words_for(len(factor)))

    def _constants_of_kernels(self, call: LayerCall) -> Iterator[Constant]:
        layer = call.layer
        *first, last = kernel_variables(layer)
        roles = kernel_roles(layer) or [""] * (len(first) + 1)
        for role, kernel in zip(roles, first, strict=False):  # the first half of a separable convolution
            if role in self._graph.packed[call]:
                rows = kernel_rows(layer, role)
                yield from (packed_bits(rows < 0, kernel_words(layer, role)), numbers(np.abs(rows[0])))
            else:
                yield numbers(kernel)
            yield numbers(np.zeros(last.shape[-2], np.float32))
        if roles[-1] in self._graph.packed[call]:
            yield from self._constants_of_packed(call, roles[-1])
        else:
            scaled_by = [self._graph.dense.normalization_in_front(call), self._graph.normalization_behind(call)]
            yield numbers(last, *(normalization_form(one.layer)[0] for one in scaled_by if one is not None))
            yield from self._constants_of_bias(call)

    def _constants_of_packed(self, call: LayerCall, role: str) -> Iterator[Constant]:
        """Yields packed kernel, multiplier and bias, or thresholds, of the op that computes a layer's outputs."""
        layer = call.layer
        rows = kernel_rows(layer, role)
        pixels = self._graph.pixels(call) if isinstance(layer, layers.Dense) else 1
        yield packed_bits(rows < 0, kernel_words(layer, role, pixels))
        scale = np.abs(rows[0])
        multiplier, bias = self._scaled(call, scale, array(layer.bias) if layer.use_bias else np.zeros_like(scale))
        if call in self._graph.thresholds:
            yield self._thresholds(call, multiplier, bias)
            return
        yield from (numbers(multiplier), numbers(bias))
        if (normalization := self._graph.dense.normalization_in_front(call)) is not None:
            factor = np.abs(normalization_form(normalization.layer)[0])
            if np.any(factor != factor[0]):  # else the kernel is binary as it is
                yield numbers(factor / factor.max())

    def _thresholds(self, call: LayerCall, multiplier: Array, bias: Array) -> Constant:
        between = [one.layer for one in (*self._graph.folded.get(call, ())[:-1], *self._graph.thresholds[call])]
        if call.layer.activation is keras.activations.linear and not bias.any() and not any(map(moves_zero, between)):
            return numbers(np.zeros_like(bias))
        operands_behind = [values for layer in between for values in (*operands(layer), *sign_thresholds(layer))]
        return numbers(bias, multiplier, *operands_behind)

    def _constants_of_bias(self, call: LayerCall) -> Iterator[Constant]:
        """Yields the bias of a real-valued kernel; convolutions have one even where the layer has none."""
        layer = call.layer
        zeros = np.zeros(call.outputs[0].shape[-1], np.float32)
        own = array(layer.bias) if layer.use_bias else zeros
        _, bias = self._scaled(call, np.ones_like(zeros), own)
        if is_dilated(layer):
            yield numbers(zeros)  # its own bias is an op behind the rearranged outputs
        is_left_out = isinstance(layer, BIAS_IS_OPTIONAL) and (not bias.any() or self._graph.dense.moves_bias(call))
        if not is_left_out:
            yield numbers(bias)

    def _scaled(self, call: LayerCall, multiplier: Array, bias: Array) -> tuple[Array, Array]:
        """Returns multiplier and bias with the normalization that the layer takes up."""
        normalization = self._graph.normalization_behind(call)
        if normalization is None:
            return multiplier, bias
        factor, term = normalization_form(normalization.layer)
        return multiplier * factor, bias * factor + term
