"""What the stock TFLite converter moves between dense layers: batch normalizations and biases, into those behind."""

from __future__ import annotations

import keras
from keras import layers

from keras_bnn.model_graph import LayerCall, ModelGraph
from keras_bnn.model_summary.graph_walks import computed_before, does_nothing
from keras_bnn.model_summary.packed_layers import moves_zero


class DenseRows:
    """Follows batch normalizations and biases into the dense layers that read them.

    Args:
        graph: The model's graph.
        ends: The calls of kernels that take up a normalization, with that normalization's call.
    """

    def __init__(self, graph: ModelGraph, ends: dict[LayerCall, LayerCall]) -> None:
        self._graph = graph
        self._ends = ends

    def scales_readers(self, call: LayerCall) -> bool:
        """Returns whether a call is a batch normalization that goes into the dense layers behind it, kernels too."""
        if not isinstance(call.layer, layers.BatchNormalization):
            return False
        return self._adds_to_biases(call, adds=moves_zero(call.layer))

    def normalization_in_front(self, call: LayerCall) -> LayerCall | None:
        """Returns the batch normalization that a dense layer's kernel is multiplied by, if any."""
        before = computed_before(self._graph, call) if _reads_values(call) else None
        return before if before is not None and self.scales_readers(before) else None

    def moves_bias(self, call: LayerCall) -> bool:
        """Returns whether a dense layer's bias goes into those of the dense layers behind it."""
        is_plain = isinstance(call.layer, layers.Dense) and call.layer.activation is keras.activations.linear
        return is_plain and self._adds_to_biases(self._ends.get(call, call))

    def _adds_to_biases(self, call: LayerCall, *, adds: bool = True) -> bool:
        """Returns whether nothing but dense layers with a bias reads a call: what it adds goes into the biases.

        Where it adds nothing, they need none.
        """
        users = self._graph.users(call)
        if not users or self._graph.is_output(call) or len(call.outputs[0].shape) != 2:
            return False
        return all(
            self._adds_to_biases(user, adds=adds)
            if does_nothing(user) or isinstance(user.layer, layers.BatchNormalization)
            else _reads_values(user) and (self._keeps_bias(user) or not adds)
            for user in users
        )

    def _keeps_bias(self, call: LayerCall) -> bool:
        return (call.layer.use_bias or call in self._ends) and not self.moves_bias(call)


def _reads_values(call: LayerCall) -> bool:
    """Returns whether a call is a dense layer that computes with numbers, not with signs of its own."""
    return isinstance(call.layer, layers.Dense) and getattr(call.layer, "input_quantizer", None) is None
