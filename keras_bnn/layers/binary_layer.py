"""What all binary layers share: quantized inputs, quantized kernels, their configuration."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from keras_bnn import constraints, initializers, quantizers
from keras_bnn.layers.quantizer_ownership import build_quantizer


class BinaryLayer(keras.layers.Layer):
    """Mixin for a Keras layer that quantizes its inputs and its kernels.

    Put it before the Keras layer among the base classes. The subclass computes with `quantized_inputs(inputs)` and
    `quantized_kernel()`; the kernels themselves stay real-valued latent weights, which the optimizer updates.

    A subclass with other kernels than one `kernel` says so in `KERNELS`: the role `"depthwise"` has the constructor
    arguments `depthwise_quantizer`, `depthwise_constraint` and `depthwise_initializer`, and its value is the attribute
    that holds the variable. `OUTPUT_AXES` says which axes of it count output channels.

    Args:
        *args: Positional arguments of the Keras layer.
        input_quantizer: Quantizer of the inputs (name, instance, function or None), see `keras_bnn.quantizers.get`.
        **kwargs: Keyword arguments of the Keras layer. For each kernel also `<role>_quantizer`, as for the inputs, and
            `<role>_constraint` and `<role>_initializer`, as in the Keras layer or "weight_clip" and
            "weight_clip_uniform".

    Raises:
        ValueError: when data_format is "channels_first", the dtype no float, or a quantizer or a constraint unknown.
    """

    KERNELS: ClassVar[dict[str, str]] = {"kernel": "kernel"}
    OUTPUT_AXES: ClassVar[dict[str, int | tuple[int, ...]]] = {"kernel": -1}

    def __init__(self, *args: Any, input_quantizer: Any, **kwargs: Any) -> None:
        chosen = {
            f"{role}_quantizer": quantizers.get(kwargs.pop(f"{role}_quantizer"), kernel_axes=self.OUTPUT_AXES[role])
            for role in self.KERNELS
        }
        for role in self.KERNELS:
            kwargs[f"{role}_initializer"] = initializers.get(kwargs[f"{role}_initializer"])
            kwargs[f"{role}_constraint"] = constraints.get(kwargs[f"{role}_constraint"])
        super().__init__(*args, **kwargs)
        if getattr(self, "data_format", "channels_last") != "channels_last":
            raise ValueError(
                f"{type(self).__name__} got data_format='{self.data_format}': pass data_format='channels_last' and "
                "inputs whose last axis is the channels, which is what packed kernels read."
            )
        policy = self.dtype_policy
        is_quantized = isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy)
        if is_quantized or not keras.backend.is_float_dtype(policy.compute_dtype):
            raise ValueError(
                f"{type(self).__name__} got dtype='{policy.name}': pass one that computes in floats, such as "
                "'float32'; keras_bnn.convert makes bits and int8 of it."
            )
        self.input_quantizer = quantizers.get(input_quantizer)
        for name, quantizer in chosen.items():
            setattr(self, name, quantizer)
        for role in self.KERNELS:
            self._warn_of_unclipped(role)

    def _warn_of_unclipped(self, role: str) -> None:
        if self._kernel_quantizer(role) is None or getattr(self, f"{role}_constraint") is not None:
            return
        classes = type(self).__mro__
        constructors = sum("__init__" in vars(cls) for cls in classes[: classes.index(BinaryLayer) + 1])
        warnings.warn(
            f"{type(self).__name__} '{self.name}' has a {role}_quantizer but no {role}_constraint: latent weights "
            "may grow beyond the range in which they get a gradient, and then stay there; pass "
            f"{role}_constraint='weight_clip'.",
            stacklevel=2 + constructors,  # the line that makes the layer
        )

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Adds a variable; kernels are exempt from a mixed-precision policy's cast, which comes after the sign.

        float16 would round a latent weight of -1e-9 to -0.0 and so turn its sign.
        """
        if name in self.KERNELS.values():
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the kernels, and the variables of quantizers that have some."""
        if input_shape[-1] is None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' got an input of shape {tuple(input_shape)}: the size of the last "
                "axis, the channels, must be known, so give the model's Input that size."
            )
        super().build(input_shape)
        build_quantizer(self.input_quantizer, input_shape, self, "input_quantizer")
        for role, name in self.KERNELS.items():
            variable, quantizer = getattr(self, name), self._kernel_quantizer(role)
            build_quantizer(quantizer, variable.shape, self, f"{role}_quantizer")
            variable.quantizer = quantizer  # tells an optimizer, which sees variables alone, that the kernel is binary

    def quantized_inputs(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the inputs as the layer computes with them, in the compute dtype."""
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if dtype == "bool" and self.input_quantizer is not None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' got bool inputs, which are both +1 to a sign: pass numbers, for "
                "example keras.ops.where(x, 1.0, -1.0)."
            )
        if not keras.backend.is_float_dtype(dtype):  # which Keras leaves as they are, and which have no gradient
            inputs = ops.cast(inputs, self.compute_dtype)
        return inputs if self.input_quantizer is None else ops.cast(self.input_quantizer(inputs), self.compute_dtype)

    def quantized_kernel(self, role: str = "kernel") -> KerasTensor:
        """Returns a kernel as the layer computes with it, in the compute dtype."""
        kernel, quantizer = getattr(self, self.KERNELS[role]), self._kernel_quantizer(role)
        return ops.cast(kernel if quantizer is None else quantizer(kernel), self.compute_dtype)

    def quantized_kernels(self) -> list[tuple[keras.Variable, Callable[[Any], Any]]]:
        """Returns the latent kernels with their quantizers; none before `build`, and no real-valued kernel."""
        roles = self.KERNELS if self.built else {}
        pairs = [(getattr(self, variable), self._kernel_quantizer(role)) for role, variable in roles.items()]
        return [(kernel, quantizer) for kernel, quantizer in pairs if quantizer is not None]

    def biased_and_activated(self, outputs: KerasTensor) -> KerasTensor:
        """Returns what the layer returns, after the products."""
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _kernel_quantizer(self, role: str) -> Callable[[Any], Any] | None:
        return getattr(self, f"{role}_quantizer")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        names = ["input_quantizer", *(f"{role}_quantizer" for role in self.KERNELS)]
        return {**super().get_config(), **{name: quantizers.serialize(getattr(self, name)) for name in names}}
