"""A model as one flat list of layer calls: nested models, blocks of layers and wrappers are opened.

A Keras model tells its graph only one level deep, with the shapes that the inner models were built for. Here every
layer that computes something itself appears by its path ("encoder/conv"), with the shapes that it gets in this model,
once for each time that it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import KerasTensor, layers, tree

from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.quantize import Quantize

# Layers with layers inside that are one thing to a reader, and whose arithmetic has a formula.
CLOSED_LAYERS = (
    BinaryLayer,
    Quantize,
    layers.Bidirectional,
    layers.GroupQueryAttention,
    layers.MultiHeadAttention,
    layers.RNN,
)


_Inside = tuple[list[Any], list[KerasTensor], list[KerasTensor]]
"""The calls inside a layer as Keras's nodes, in order, with the tensors that they start and end with."""


class Split:
    """Stands for what a TimeDistributed does in front of its layer."""


class Stack:
    """Stands for what a TimeDistributed does behind its layer."""


class OwnWeights:
    """Stands for the variables that a layer of layers has beside those of the layers inside.

    Attributes:
        layer: The layer of layers.
        name: Its name.
        weights: The variables.
    """

    def __init__(self, layer: layers.Layer) -> None:
        self.layer = layer
        self.name = layer.name
        inner = {id(weight) for one in layer._flatten_layers(include_self=False) for weight in one.weights}
        own = (*layer._trainable_variables, *layer._non_trainable_variables)  # a wrapper may keep its layer's kernel
        self.weights = [weight for weight in own if id(weight) not in inner]


@dataclass(eq=False, frozen=True)
class LayerCall:
    """One use of a layer, or of an op of `keras.ops` between layers.

    Attributes:
        layer: The layer or op.
        path: Its name, behind the names of the models and blocks that hold it.
        inputs: What it reads, in the order of its parameters. Tensors are told apart by identity.
        outputs: What it computes.
        repeats: How often it runs on one sample: the steps of a TimeDistributed around it, else 1.
        is_opaque: Whether layers inside of it could not be told apart.
        arguments: All that its `call` gets, by the names of its parameters; constants and variables too.
    """

    layer: Any
    path: str
    inputs: tuple[KerasTensor, ...]
    outputs: tuple[KerasTensor, ...]
    repeats: int | None = 1
    is_opaque: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)


class ModelGraph:
    """The layer calls of a built model, in the order in which they run.

    In front of the calls inside a layer that has variables of its own stands a call of its `OwnWeights`, without inputs
    and with outputs that nobody reads.

    Args:
        model: A built Keras model.
        input_shape: Shape of the model's input without the batch dimension, for a model with one input whose sizes are
            free. None for the model's own shapes.

    Raises:
        TypeError: when model is no Keras model.
        ValueError: when the model is not built, or input_shape does not fit it.
    """

    def __init__(self, model: keras.Model, input_shape: Sequence[int | None] | None = None) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(f"Got a {type(model).__name__}: pass a Keras model.")
        self.calls: list[LayerCall] = []
        structure = _model_inputs(model, input_shape)
        self.inputs: list[KerasTensor] = tree.flatten(structure)
        self._own_weights: dict[int, OwnWeights] = {}
        self.outputs = self._add_model(model, structure)
        self._producers = {id(tensor): call for call in self.calls for tensor in call.outputs}
        self._users: dict[int, list[LayerCall]] = {}
        for call in self.calls:
            for tensor in {id(tensor): tensor for tensor in call.inputs}.values():
                self._users.setdefault(id(tensor), []).append(call)

    def producer(self, tensor: KerasTensor) -> LayerCall | None:
        """Returns the call that computes the tensor, or None for an input of the model."""
        return self._producers.get(id(tensor))

    def users(self, call: LayerCall) -> list[LayerCall]:
        """Returns the calls that read what a call computes."""
        return [user for tensor in call.outputs for user in self._users.get(id(tensor), [])]

    def is_output(self, call: LayerCall) -> bool:
        """Returns whether the model returns what a call computes."""
        outputs = {id(tensor) for tensor in self.outputs}
        return any(id(tensor) in outputs for tensor in call.outputs)

    def _add_model(self, model: keras.Model, structure: Any) -> list[KerasTensor]:
        try:
            return self._open(model, (structure,), {}, path=model.name, prefix="", repeats=1)
        except Exception:  # the same as for a layer of layers
            if _is_functional(model):
                raise  # its calls have run on symbols, so that it is input_shape that does not fit
        try:
            outputs = _copies(tree.flatten(model.compute_output_spec(structure)))
        except Exception:  # its code needs numbers even where the backend traces it
            outputs = []
        self.calls.append(LayerCall(model, model.name, tuple(self.inputs), tuple(outputs), is_opaque=True))
        return outputs

    def _open(
        self, layer: Any, args: Any, kwargs: Any, *, path: str, prefix: str, repeats: int | None
    ) -> list[KerasTensor]:
        """Adds the calls inside a layer, and returns what it computes; adds none where its call does not run."""
        start = len(self.calls)
        try:
            outputs = self._run(_inside(layer, args, kwargs), _tensors(args, kwargs), prefix=prefix, repeats=repeats)
        except Exception:
            del self.calls[start:]
            raise
        own = self._own_weights.setdefault(id(layer), OwnWeights(layer))
        if own.weights:
            self.calls.insert(start, LayerCall(own, path, (), tuple(_copies(outputs)), repeats))
        return outputs

    def _run(
        self, inside: _Inside, tensors: Sequence[KerasTensor], *, prefix: str, repeats: int | None
    ) -> list[KerasTensor]:
        nodes, inputs, outputs = inside
        known = {id(inner): tensor for inner, tensor in zip(inputs, tensors, strict=True)}
        for node in nodes:
            inner_args, inner_kwargs = node.arguments.fill_in(known)
            results = self._call(node, inner_args, inner_kwargs, prefix, repeats)
            known.update(zip(map(id, node.outputs), results, strict=True))
        return [known[id(tensor)] for tensor in outputs]

    def _call(self, node: Any, args: Any, kwargs: Any, prefix: str, repeats: int | None) -> list[KerasTensor]:
        layer, is_opaque = node.operation, False
        path = f"{prefix}{layer.name}"
        if isinstance(layer, layers.TimeDistributed):
            return self._time_distributed(layer, args, kwargs, path, repeats)
        if _holds_layers(layer):
            try:
                return self._open(layer, args, kwargs, path=path, prefix=f"{path}/", repeats=repeats)
            except Exception:  # whatever a call() of somebody else's raises when it gets symbols for numbers
                is_opaque = True
        if [x.shape for x in _tensors(args, kwargs)] == [x.shape for x in node.input_tensors]:
            outputs = _copies(node.outputs)
        else:
            outputs = _copies(tree.flatten(layer.compute_output_spec(*args, **kwargs)))
        arguments = inspect.signature(layer.call).bind(*args, **_taken(layer, kwargs)).arguments
        inputs = _tensors(tuple(arguments.values()), {})  # a dictionary's would come in the order of the alphabet
        self.calls.append(LayerCall(layer, path, tuple(inputs), tuple(outputs), repeats, is_opaque, arguments))
        return outputs

    def _time_distributed(
        self, layer: Any, args: Any, kwargs: Any, path: str, repeats: int | None
    ) -> list[KerasTensor]:
        x = _tensors(args, kwargs)[0]
        steps = x.shape[1]
        total = None if steps is None or repeats is None else steps * repeats
        step = KerasTensor((x.shape[0], *x.shape[2:]), x.dtype)
        self.calls.append(LayerCall(Split(), path, (x,), (step,), repeats))
        inner = _inside_call(keras.Sequential([layer.layer]), (step,), {})
        (y,) = self._run(inner, [step], prefix=f"{path}/", repeats=total)
        outputs = KerasTensor((y.shape[0], steps, *y.shape[1:]), y.dtype)
        self.calls.append(LayerCall(Stack(), path, (y,), (outputs,), repeats))
        return [outputs]


def _holds_layers(layer: Any) -> bool:
    if not isinstance(layer, layers.Layer) or isinstance(layer, CLOSED_LAYERS):
        return False
    return isinstance(layer, keras.Model) or any(True for _ in layer._flatten_layers(include_self=False))


def _tensors(args: Any, kwargs: Any) -> list[KerasTensor]:
    return [value for value in tree.flatten((args, kwargs)) if isinstance(value, KerasTensor)]


def _copies(tensors: Sequence[KerasTensor]) -> list[KerasTensor]:
    """Returns tensors that are nobody else's, even where a layer returns its input."""
    return [KerasTensor(x.shape, x.dtype) for x in tensors]


def _taken(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Returns the keyword arguments without a `training` that the layer's call does not take: Keras drops it too."""
    takes_training = "training" in inspect.signature(layer.call).parameters
    return {key: value for key, value in kwargs.items() if key != "training" or takes_training}


def _is_functional(model: keras.Model) -> bool:
    is_built_sequential = isinstance(model, keras.Sequential) and getattr(model, "_functional", None) is not None
    return isinstance(model, keras.Function) or is_built_sequential


def _inside(layer: Any, args: Any, kwargs: Any) -> _Inside:
    if isinstance(layer, keras.Sequential) and getattr(layer, "_functional", None) is not None:
        layer = layer._functional
    if not isinstance(layer, keras.Function):
        return _inside_call(layer, args, kwargs)
    nodes = list(_nodes(layer))
    return nodes, layer.inputs, layer.outputs


def _inside_call(layer: Any, args: Any, kwargs: Any) -> _Inside:
    """Runs the Python code of a layer's call on symbols, and leaves no trace of it in the layers."""
    counts = {id(one): (one, len(one._inbound_nodes), len(one._outbound_nodes)) for one in layer._flatten_layers()}
    try:
        args, kwargs = tree.map_structure(_as_input, (args, _taken(layer, kwargs)))
        inputs = _tensors(args, kwargs)
        function = keras.Function(inputs, layer.call(*args, **kwargs))
        return list(_nodes(function)), inputs, function.outputs
    finally:
        for one, inbound, outbound in counts.values():
            del one._inbound_nodes[inbound:], one._outbound_nodes[outbound:]


def _as_input(value: Any) -> Any:
    return keras.Input(batch_shape=value.shape, dtype=value.dtype) if isinstance(value, KerasTensor) else value


def _nodes(function: Any) -> Iterator[Any]:
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if not node.is_input)


def _model_inputs(model: keras.Model, input_shape: Sequence[int | None] | None) -> Any:
    """Returns symbols for the model's inputs, in the structure that its call takes."""
    if not model.built:
        raise ValueError(f"The model '{model.name}' is not built: call it on data once, or give it a keras.Input.")
    structure = getattr(model, "_inputs_struct", None)
    if isinstance(model, keras.Sequential) and getattr(model, "_functional", None) is not None:
        structure = model._functional._inputs_struct
    if structure is None:
        structure = _built_inputs(model, input_shape)
    count = len(tree.flatten(structure))
    if input_shape is not None and count != 1:
        raise ValueError(f"The model '{model.name}' has {count} inputs: leave input_shape out.")

    def symbol(x: KerasTensor) -> KerasTensor:
        shape = x.shape[1:] if input_shape is None else tuple(input_shape)
        sizes = zip(shape, x.shape[1:], strict=False)
        if len(shape) != len(x.shape) - 1 or any(None not in (a, b) and a != b for a, b in sizes):
            raise ValueError(
                f"input_shape is {shape}: the model '{model.name}' takes {x.shape[1:]}, without the batch dimension."
            )
        return KerasTensor((None, *shape), x.dtype)

    return tree.map_structure(symbol, structure)


def _built_inputs(model: keras.Model, input_shape: Sequence[int | None] | None) -> Any:
    """Returns symbols of the shapes on which a subclassed model was built."""
    try:
        inspect.signature(model.call).bind(None)
    except TypeError:
        raise ValueError(
            f"The model '{model.name}' takes several arguments in its call(), and Keras keeps the shape of the first "
            "alone: take them as one list or dictionary, or make it a functional model."
        ) from None
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None and input_shape is not None:
        shapes = (None, *input_shape)
    if shapes is None:
        raise ValueError(
            f"The model '{model.name}' does not tell the shape of its input, as its call() may not run on symbolic "
            "tensors: pass input_shape=, or make it a functional model."
        )
    return tree.map_shape_structure(lambda shape: KerasTensor((None, *shape[1:]), "float32"), shapes)
