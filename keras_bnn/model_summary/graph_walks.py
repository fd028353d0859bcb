"""Steps from call to call, over those that the packed file leaves out."""

from __future__ import annotations

from keras import layers

from keras_bnn.model_graph import LayerCall, ModelGraph, keeps_values


def moves_one_tensor(call: LayerCall) -> bool:
    """Returns whether a call only moves or picks values of its one input."""
    return isinstance(call.layer, layers.Layer) and keeps_values(call) and len(call.inputs) == 1


def does_nothing(call: LayerCall) -> bool:
    """Returns whether a call is left out of the file, as dropout is."""
    return moves_one_tensor(call) and call.inputs[0].shape == call.outputs[0].shape


def only_user(graph: ModelGraph, call: LayerCall) -> LayerCall | None:
    """Returns the one call that reads what a call computes; None where there are several, or the model returns it."""
    users = graph.users(call)
    return users[0] if len(users) == 1 and not graph.is_output(call) else None


def computed_before(graph: ModelGraph, call: LayerCall) -> LayerCall | None:
    """Returns the call that computes what a call reads first, or None for an input of the model."""
    before = graph.producer(call.inputs[0])
    while before is not None and does_nothing(before):
        before = graph.producer(before.inputs[0])
    return before
