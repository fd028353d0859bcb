"""Clones a model with some of its layers replaced, left out or followed by others, and carries the weights over."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np

from keras_bnn import layers

BINARY_LAYERS: dict[type, Any] = {
    keras.layers.Dense: layers.BinaryDense,
    keras.layers.Conv1D: layers.BinaryConv1D,
    keras.layers.Conv2D: layers.BinaryConv2D,
    keras.layers.Conv3D: layers.BinaryConv3D,
    keras.layers.Conv2DTranspose: layers.BinaryConv2DTranspose,
    keras.layers.DepthwiseConv2D: layers.BinaryDepthwiseConv2D,
    keras.layers.SeparableConv2D: layers.BinarySeparableConv2D,
}
# Layers that are an activation and nothing else: where one is left out, an Identity takes its place.
ACTIVATION_LAYERS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)
# Constraints of norms and of signs. A latent weight has neither to keep, and they let it grow beyond its gradient.
_NO_CLIPS = (
    keras.constraints.MaxNorm,
    keras.constraints.MinMaxNorm,
    keras.constraints.NonNeg,
    keras.constraints.UnitNorm,
)


def has_real_kernels(layer: Any) -> bool:
    """Returns whether a layer is binary but for its kernels, as in the first of two training steps."""
    is_binary = type(layer) in BINARY_LAYERS.values()
    return is_binary and all(getattr(layer, f"{role}_quantizer") is None for role in layer.KERNELS)


class Cloner:
    """Clones layers and models, each once, and remembers which clone is whose."""

    def __init__(
        self,
        replaced: list[Any],
        *,
        real_input: list[Any],
        dropped: list[Any],
        normalized: list[Any],
        input_quantizer: Any,
        kernel_quantizer: Any,
        kernel_constraint: Any,
    ) -> None:
        self._replaced, self._real_input = set(map(id, replaced)), set(map(id, real_input))
        self._dropped, self._normalized = set(map(id, dropped)), set(map(id, normalized))
        self._input_quantizer, self._kernel_quantizer = input_quantizer, kernel_quantizer
        self._kernel_constraint = kernel_constraint
        self._clones: dict[int, tuple[Any, Any]] = {}
        self._originals: dict[int, Any] = {}
        self._calls: Counter[int] = Counter()

    def clone_model(self, model: Any) -> Any:
        """Returns the clone of a Sequential or functional model, without its weights."""
        if isinstance(model, keras.Sequential):
            clones = [one for layer in model.layers for one in (self.clone(layer), *self._behind(layer))]
            return keras.Sequential([_input_like(model.inputs[0]), *clones], name=model.name)
        inputs = keras.tree.map_structure(_input_like, model.input)
        compiled, model.compiled = model.compiled, False  # else clone_model compiles, before there are weights
        try:
            return keras.models.clone_model(model, inputs, clone_function=self.clone, call_function=self._call)
        finally:
            model.compiled = compiled

    def clone(self, layer: Any) -> Any:
        """Returns the clone of a layer or of a model in its place."""
        if id(layer) not in self._clones:
            clone = self._make_clone(layer)
            self._clones[id(layer)] = layer, clone
            self._originals[id(clone)] = layer
        return self._clones[id(layer)][1]

    def carry_weights(self) -> None:
        """Copies all weights."""
        for layer, clone in self._clones.values():
            if id(layer) in self._replaced:
                self._carry_kernels(layer, clone)
            elif isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.Model) and clone.weights:
                clone.set_weights(layer.get_weights())
                for one in clone._flatten_layers():
                    if isinstance(one, keras.layers.Normalization):
                        one.finalize_state()  # it computes with tensors that it makes of its weights

    def _call(self, clone: Any, *args: Any, **kwargs: Any) -> Any:
        layer = self._originals.get(id(clone))
        if id(layer) in self._dropped and isinstance(clone, keras.layers.Identity):
            tensors = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
            return clone(tensors[0])  # without the 0 of keras.ops.maximum(x, 0), say
        outputs = clone(*args, **kwargs)
        for follower in self._behind(layer):
            outputs = follower(outputs)
        return outputs

    def _make_clone(self, layer: Any) -> Any:
        if isinstance(layer, (keras.Sequential, keras.Function)):
            return self.clone_model(layer)
        is_op = not isinstance(layer, keras.layers.Layer)
        if id(layer) in self._dropped and (is_op or type(layer) in ACTIVATION_LAYERS):
            return keras.layers.Identity(name=layer.name)
        if is_op:
            return layer  # of keras.ops, without state
        config = layer.get_config()
        if id(layer) in self._normalized | self._dropped:
            config["activation"] = "linear"
        return self._make_binary(layer, config) if id(layer) in self._replaced else type(layer).from_config(config)

    def _make_binary(self, layer: Any, config: dict[str, Any]) -> Any:
        binary = BINARY_LAYERS.get(type(layer), type(layer))
        if has_real_kernels(layer):
            config["input_quantizer"] = _own(layer.input_quantizer)
        else:
            config["input_quantizer"] = None if id(layer) in self._real_input else _own(self._input_quantizer)
        for role in binary.KERNELS:
            config[f"{role}_quantizer"] = _own(self._kernel_quantizer)
            constraint = getattr(layer, f"{role}_constraint")
            if self._kernel_quantizer is not None and (constraint is None or isinstance(constraint, _NO_CLIPS)):
                constraint = self._kernel_constraint
            config[f"{role}_constraint"] = constraint
        try:
            return binary.from_config(config)
        except (TypeError, ValueError) as error:
            reason = error.__context__ or error  # from_config repeats the whole configuration
            raise ValueError(f"binarize cannot make '{layer.name}' binary, name it in skip: {reason}") from reason

    def _behind(self, layer: Any) -> list[Any]:
        """Returns new layers for behind a call of a layer's clone: a normalization, and the activation after it."""
        if id(layer) not in self._normalized:
            return []
        self._calls[id(layer)] += 1
        suffix = "" if self._calls[id(layer)] == 1 else f"_{self._calls[id(layer)]}"
        followers = [keras.layers.BatchNormalization(name=f"{layer.name}_normalization{suffix}")]
        if id(layer) not in self._dropped and layer.activation is not keras.activations.linear:
            followers.append(keras.layers.Activation(layer.activation, name=f"{layer.name}_activation{suffix}"))
        return followers

    def _carry_kernels(self, layer: Any, clone: Any) -> None:
        for role, name in clone.KERNELS.items():
            values = keras.ops.convert_to_numpy(getattr(layer, name))
            if getattr(clone, f"{role}_quantizer") is not None:
                values = _within(values, getattr(clone, f"{role}_constraint"))
            getattr(clone, name).assign(values)
        if layer.use_bias:
            clone.bias.assign(layer.bias)
        if has_real_kernels(layer) and isinstance(layer.input_quantizer, keras.layers.Layer):
            clone.input_quantizer.set_weights(layer.input_quantizer.get_weights())


def _input_like(x: keras.KerasTensor) -> keras.KerasTensor:
    name = None if x.name.startswith("keras_tensor") else x.name  # the name that Keras gives where nobody does
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)


def _within(kernel: np.ndarray, constraint: Any) -> np.ndarray:
    """Returns the kernel, divided by what brings it into the range to which the constraint clips, if it does."""
    if constraint is None:
        return kernel
    # A constraint that does not clip leaves all as it is, or overflows to 0, to infinity or to no number.
    limit = float(np.max(np.abs(keras.ops.convert_to_numpy(constraint(np.full_like(kernel, 3e38))))))
    largest = float(np.max(np.abs(kernel), initial=0))
    return kernel * (limit / largest) if 0 < limit < largest else kernel


def _own(quantizer: Any) -> Any:
    """Returns a quantizer for one layer: a quantizer with weights cannot be shared."""
    if not isinstance(quantizer, keras.layers.Layer):
        return quantizer  # a name, say, of which the layer makes its own
    return type(quantizer).from_config({key: value for key, value in quantizer.get_config().items() if key != "name"})
