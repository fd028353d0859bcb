"""Clones a model with some of its layers replaced, left out or followed by others, and carries the weights over."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np

from keras_bnn import layers, quantizers

BINARY_LAYERS: dict[type, Any] = {
    keras.layers.Dense: layers.BinaryDense,
    keras.layers.Conv1D: layers.BinaryConv1D,
    keras.layers.Conv2D: layers.BinaryConv2D,
    keras.layers.Conv3D: layers.BinaryConv3D,
    keras.layers.Conv2DTranspose: layers.BinaryConv2DTranspose,
    keras.layers.DepthwiseConv2D: layers.BinaryDepthwiseConv2D,
    keras.layers.SeparableConv2D: layers.BinarySeparableConv2D,
}


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
        return keras.models.clone_model(model, inputs, clone_function=self.clone, call_function=self._call)

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

    def _call(self, clone: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = clone(*args, **kwargs)
        for follower in self._behind(self._originals.get(id(clone))):
            outputs = follower(outputs)
        return outputs

    def _make_clone(self, layer: Any) -> Any:
        if isinstance(layer, (keras.Sequential, keras.Function)):
            return self.clone_model(layer)
        if id(layer) in self._dropped and type(layer) not in BINARY_LAYERS:
            return keras.layers.Identity(name=layer.name)
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an op of keras.ops, without state
        config = layer.get_config()
        if id(layer) in self._normalized | self._dropped:
            config["activation"] = "linear"
        return self._make_binary(layer, config) if id(layer) in self._replaced else type(layer).from_config(config)

    def _make_binary(self, layer: Any, config: dict[str, Any]) -> Any:
        binary = BINARY_LAYERS[type(layer)]
        config["input_quantizer"] = None if id(layer) in self._real_input else _own(self._input_quantizer)
        for role in binary.KERNELS:
            config[f"{role}_quantizer"] = _own(self._kernel_quantizer)
            if self._kernel_quantizer is not None and config.get(f"{role}_constraint") is None:
                config[f"{role}_constraint"] = self._kernel_constraint
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


def _input_like(x: keras.KerasTensor) -> keras.KerasTensor:
    name = None if x.name.startswith("keras_tensor") else x.name  # the name that Keras gives where nobody does
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)


def _within(kernel: np.ndarray, constraint: Any) -> np.ndarray:
    """Returns the kernel, divided by what brings it into the range to which the constraint clips."""
    if constraint is None:
        return kernel
    limit = float(np.max(np.abs(keras.ops.convert_to_numpy(constraint(np.full_like(kernel, 3e38))))))
    largest = float(np.max(np.abs(kernel), initial=0))
    return kernel * (limit / largest) if largest > limit else kernel


def _own(quantizer: Any) -> Any:
    """Returns a quantizer for one layer: a quantizer with weights cannot be shared."""
    found = quantizers.get(quantizer)
    if found is not quantizer or not isinstance(found, keras.layers.Layer):
        return found
    return type(found).from_config({key: value for key, value in found.get_config().items() if key != "name"})
